"""The alerts' files in the lake, under ``_alerts/``: the incidents, and messages yet to be sent.

``state.json`` holds incidents, outboxes and the rows of the `alerts` table that are not yet in a
file; ``seen.json`` the watch. Both are put whole, so a lost DAGSTER_HOME loses no alert. A file
that cannot be read is copied and started afresh: silence would be worse than a repeated message.
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
from returns_orchestration.alerts.outbox import Message, Outbox  # noqa: TC001 - msgspec
from returns_orchestration.alerts.watch import Watch
from returns_orchestration.lake.parquet import to_parquet
from returns_orchestration.state.hour_index import decode, encode
from returns_orchestration.window import Day

if TYPE_CHECKING:
    from returns_orchestration.alerts.kinds import Kind
    from returns_orchestration.lake import Lake

FOLDER: Final = "_alerts"
STATE: Final = f"{FOLDER}/state.json"
WATCH: Final = f"{FOLDER}/seen.json"
COPY: Final = re.compile(r"-unreadable-(\d{8}T\d{6})\.json$")
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
    that look that became no incident; ``digest`` is the week of the last digest.
    """

    looked_at: datetime
    incidents: list[Incident] = []
    silent: list[Noted] = []
    outboxes: dict[str, Outbox] = {}
    rows: list[Row] = []
    digest: str = ""
    files: int = 0


class Kept:
    """State and watch of one lake, read once and put when they changed."""

    def __init__(self, lake: Lake, now: datetime) -> None:
        self._lake = lake
        self._now = now
        self._written: dict[str, bytes] = {}
        self.state = self._read(STATE, State) or State(looked_at=now)
        self.watch = self._read(WATCH, Watch) or Watch.first(now)
        self.watch.correct_clock(now)

    def save(self) -> None:
        """Put what changed; the watch first, since the incidents can be derived from it again."""
        self._put(WATCH, self.watch)
        self._put(STATE, self.state)

    def file_rows(self) -> int:
        """Put the waiting rows into a new file of the `alerts` table; gives how many.

        The number in the file's name grows only once the rows are no longer in the state. So the
        tick after a killed one writes the same rows to the same file.
        """
        rows = self.state.rows
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
            self.state.rows = []
            self.save()
        return len(rows)

    def _read(self, path: str, kind: type[T]) -> T | None:
        content = self._lake.store.get(path)
        found = None if content is None else _decoded(content, kind)
        if content is not None and found is None:
            copy = path.replace(".json", f"-unreadable-{self._now:%Y%m%dT%H%M%S}.json")
            self._lake.store.put(copy, content)
        elif content is not None:
            self._written[path] = content
        return found

    def _put(self, path: str, value: msgspec.Struct) -> None:
        content = encode(value)
        if self._written.get(path) != content:
            self._lake.store.put(path, content)
            self._written[path] = content


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
