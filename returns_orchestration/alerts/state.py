"""What is kept of alerts in the lake, under ``_alerts/``: the incidents, and what waits to be sent.

``state.json`` holds incidents, outboxes and the rows of the `alerts` table that are not yet in a
file; ``seen.json`` the memory of hours. Both are put whole, so a lost DAGSTER_HOME loses no alert.
A file that cannot be read is set aside and begun anew, since silence would be worse than a repeat.
"""

from __future__ import annotations

import hashlib
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from returns_orchestration import tables
from returns_orchestration.alerts.incidents import Incident  # noqa: TC001 - msgspec
from returns_orchestration.alerts.outbox import Outbox  # noqa: TC001 - msgspec
from returns_orchestration.alerts.seen import Seen
from returns_orchestration.lake.parquet import to_parquet
from returns_orchestration.window import Day

if TYPE_CHECKING:
    from returns_orchestration.alerts.facts import Kind
    from returns_orchestration.lake import Lake

STATE: Final = "_alerts/state.json"
SEEN: Final = "_alerts/seen.json"
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


class State(msgspec.Struct, kw_only=True):
    """Everything that must survive; ``looked_at`` is when somebody last looked, within minutes."""

    looked_at: datetime
    incidents: list[Incident] = []
    outboxes: dict[str, Outbox] = {}
    rows: list[Row] = []
    files: int = 0


class Kept:
    """State and memory of one lake, read once and put when they changed."""

    def __init__(self, lake: Lake, now: datetime) -> None:
        self._lake = lake
        self._now = now
        self._written: dict[str, bytes] = {}
        self.state = self._read(STATE, State) or State(looked_at=now)
        self.seen = self._read(SEEN, Seen) or Seen.first(now)
        self.seen.believe_until(now)

    def save(self) -> None:
        """Put what changed; the memory first, from which the incidents follow again."""
        self._put(SEEN, self.seen)
        self._put(STATE, self.state)

    def file_rows(self) -> int:
        """Put the rows that wait into a file of the `alerts` table of their own; how many.

        The file is named by a number that only moves once the rows are no longer in the state, so
        that a tick that was killed in between writes the same rows to the same file.
        """
        rows = self.state.rows
        if rows:
            columns: dict[str, list[Any]] = {
                name: [getattr(row, name) for row in rows] for name in tables.ALERTS.schema
            }
            day = Day.of(rows[0].noted_at, tables.UTC_DAYS)
            content = to_parquet(tables.ALERTS.frame(columns))
            # No record stands beside it: its name says what it holds, and `verify` reads that.
            name = f"{self.state.files + 1:08d}-{hashlib.sha256(content).hexdigest()[:16]}.parquet"
            self._lake.store.create(self._lake.path(tables.ALERTS, day, name), content)
            self.state.files += 1
            self.state.rows = []
            self.save()
        return len(rows)

    def _read(self, path: str, kind: type[T]) -> T | None:
        content = self._lake.store.get(path)
        if content is None:
            return None
        try:
            found = msgspec.json.decode(content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            aside = path.replace(".json", f"-unreadable-{self._now:%Y%m%dT%H%M%S}.json")
            self._lake.store.put(aside, content)
            return None
        self._written[path] = content
        return found

    def _put(self, path: str, value: msgspec.Struct) -> None:
        content = msgspec.json.encode(value)
        if self._written.get(path) != content:
            self._lake.store.put(path, content)
            self._written[path] = content


def is_told(lake: Lake, kind: Kind) -> bool:
    """Whether an incident of ``kind`` is open and was sent. Raises LakeDamaged."""
    state = read_state(lake)
    incidents = state.incidents if state else []
    return any(i.kind == kind and i.is_open and i.told_at is not None for i in incidents)


def read_state(lake: Lake) -> State | None:
    """The state as it stands, without setting anything aside; None if nobody ever looked."""
    content = lake.store.get(STATE)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=State)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
