"""The alerts' files in the lake, under ``_alerts/``: the incidents, and messages yet to be sent.

``state.json`` holds incidents, outboxes and the rows of the `alerts` table that are not yet in a
file; ``seen.json`` the watch. Both are put whole, so a lost DAGSTER_HOME loses no alert. A version
is replaced only by who has read it: where two processes look after one lake, the slower one reads
again what the other has kept. A file that cannot be read is copied and started afresh: silence
would be worse than a repeated message.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from returns_orchestration import tables
from returns_orchestration.alerts.kinds import Reason
from returns_orchestration.alerts.life_cycle import Incident, Noted  # noqa: TC001 - msgspec
from returns_orchestration.alerts.outbox import Lease, Message, Outbox  # noqa: TC001 - msgspec
from returns_orchestration.alerts.watch import Watch
from returns_orchestration.errors import LakeContended
from returns_orchestration.lake.parquet import to_parquet
from returns_orchestration.state.hour_index import decode, encode
from returns_orchestration.window import Day

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.alerts.kinds import Kind
    from returns_orchestration.lake import Lake

FOLDER: Final = "_alerts"
STATE: Final = f"{FOLDER}/state.json"
WATCH: Final = f"{FOLDER}/seen.json"
COPY: Final = re.compile(r"-unreadable-(\d{8}T\d{6})\.json$")
UPDATES: Final = 50
"""How often a change of the state is tried again, if another process is faster each time."""

T = TypeVar("T", bound=msgspec.Struct)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the `alerts` table; see its columns."""

    noted_at: datetime
    event: str
    incident: int | None = None
    kind: str | None = None
    subject: str | None = None
    severity: str | None = None
    size: int | None = None
    channel: str | None = None
    text: str | None = None

    @classmethod
    def of_change(
        cls, event: str, incident: Incident, now: datetime, message: Message | None
    ) -> Row:
        """An event of an incident, with the message about it, if there is one."""
        return cls(
            noted_at=now,
            event=event,
            incident=incident.number,
            kind=incident.kind,
            subject=incident.subject or None,
            severity=incident.severity,
            size=incident.size,
            text=None if message is None else f"{message.title}\n{message.text}",
        )

    @classmethod
    def of_attempt(
        cls, event: str, channel: str, message: Message, now: datetime, fault: str = ""
    ) -> Row:
        """The outcome of a message in one channel."""
        text = message.title + (f": {fault}" if fault else "")
        number = message.incident or None
        return cls(noted_at=now, event=event, incident=number, channel=channel, text=text)


class State(msgspec.Struct, kw_only=True):
    """Everything that must survive.

    ``looked_at`` is when the lake was last looked at, within minutes; ``silent`` are findings of
    that look that became no incident; ``digest`` is the week of the last digest. ``files`` counts
    the files of the table, and the first ``filing`` of the ``rows`` are those of the next one.
    """

    looked_at: datetime
    incidents: list[Incident] = []
    silent: list[Noted] = []
    outboxes: dict[str, Outbox] = {}
    rows: list[Row] = []
    digest: str = ""
    files: int = 0
    filing: int = 0
    lease: Lease | None = None


class Kept:
    """State and watch of one lake, read once and put when they changed.

    What puts them raises LakeContended where another process has put them since.
    """

    def __init__(self, lake: Lake, now: datetime) -> None:
        self._lake = lake
        self._now = now
        self._written: dict[str, bytes] = {}
        self._tags: dict[str, str] = {}
        self.state = self._read_state()
        self.watch = self._read(WATCH, Watch) or Watch.first(now)
        self.watch.correct_clock(now)

    def save(self) -> None:
        """Put what changed; the watch first, since the incidents can be derived from it again."""
        self._put(WATCH, self.watch)
        self._put(STATE, self.state)

    def update(self, change: Callable[[State], None]) -> None:
        """Change the state and put it. If another process has put one, change that one instead."""
        for left in reversed(range(UPDATES)):
            change(self.state)
            try:
                self._put(STATE, self.state)
            except LakeContended:
                if not left:
                    raise
                self.state = self._read_state()
            else:
                return

    def file_rows(self) -> int:
        """Put the waiting rows into a new file of the `alerts` table; gives how many.

        The rows of the file are fixed before it is put, and leave the state after it. So the tick
        after a killed one, and another process at the same time, write the same rows to the same
        file.
        """
        if self.state.rows and not self.state.filing:
            self.state.filing = len(self.state.rows)
            self.save()
        rows = self.state.rows[: self.state.filing]
        if rows:
            columns: dict[str, list[Any]] = {
                name: [getattr(row, name) for row in rows] for name in tables.ALERTS.schema
            }
            day = Day.of(rows[0].noted_at, tables.UTC_DAYS)
            content = to_parquet(tables.ALERTS.frame(columns))
            # It has no record beside it: its name holds its digest, and `verify` checks that.
            name = f"{self.state.files + 1:08d}-{hashlib.sha256(content).hexdigest()[:16]}.parquet"
            self._lake.store.create(self._lake.path(tables.ALERTS, day, name), content)
            self.state.files += 1
            self.state.rows = self.state.rows[len(rows) :]
            self.state.filing = 0
            self.save()
        return len(rows)

    def _read_state(self) -> State:
        return self._read(STATE, State) or State(looked_at=self._now)

    def _read(self, path: str, kind: type[T]) -> T | None:
        found = self._lake.store.get_tagged(path)
        content, self._tags[path] = found or (None, "")
        self._written.pop(path, None)
        value = None if content is None else _decoded(content, kind)
        if content is not None and value is None:
            copy = path.replace(".json", f"-unreadable-{self._now:%Y%m%dT%H%M%S}.json")
            self._lake.store.put(copy, content)
        elif content is not None:
            self._written[path] = content
        return value

    def _put(self, path: str, value: msgspec.Struct) -> None:
        content = encode(value)
        if self._written.get(path) != content:
            tag = self._lake.store.replace(path, content, self._tags[path])
            if tag is None:
                message = f"Another process changed {self._lake.store.uri(path)} at the same time."
                raise LakeContended(message)
            self._written[path], self._tags[path] = content, tag


def is_notified(lake: Lake, kind: type[Kind]) -> bool:
    """Whether an incident of ``kind`` is open and was sent, or the one before a moment ago.

    Raises LakeDamaged.
    """
    state = read_state(lake)
    of_kind = [i for i in (state.incidents if state else []) if i.kind == kind.name and i.is_open]
    return any(i.notified_at or i.silent == Reason.COOLDOWN for i in of_kind)


def read_state(lake: Lake) -> State | None:
    """The current state, without copying anything; None if alerts never ran on this lake."""
    content = lake.store.get(STATE)
    return None if content is None else _decoded(content, State)


def remove_unreadable(lake: Lake, before: datetime) -> int:
    """Delete the copies of unreadable files that were made ``before``; gives how many."""
    made = {path: COPY.search(path) for path in lake.store.list(FOLDER)}
    old = [
        path
        for path, found in made.items()
        if found and datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) < before
    ]
    lake.store.delete_many(old)
    return len(old)


def _decoded(content: bytes, kind: type[T]) -> T | None:
    try:
        return decode(content, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
