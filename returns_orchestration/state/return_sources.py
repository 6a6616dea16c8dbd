"""The polls and webhooks that served one return, and polls beside them that did not.

From the hours that may hold it, marks of the journal lead to every window that served it: so only
polls of these few windows are read. A return whose request time changed is found wherever it was
served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.names import sources_of
from returns_orchestration.stages.copies import placed_in, served_by
from returns_orchestration.stages.ownership import Source
from returns_orchestration.stages.typing import Refused, decode
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from datetime import datetime

    from returns_orchestration.stages.copies import Served, Told
    from returns_orchestration.stages.ownership import Copy
    from returns_orchestration.state.candidate_hours import CandidateHours
    from returns_orchestration.state.sought_return import SoughtReturn


class SourceCopies(NamedTuple):
    """All copies of the return in one source, and their records as received.

    ``repeated_at`` is when a later reply repeated it, ``received_at`` when a webhook came.
    """

    source: Source
    copies: list[Copy]
    records: list[str]
    repeated_at: datetime | None = None
    received_at: datetime | None = None


class RejectedRecords(NamedTuple):
    """The records of one poll that name the return and cannot be used, each with its reason."""

    source: Source
    is_repeated: bool
    records: list[str]
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Answered:
    """How often ClickPost answered for a window, the last time, and how many polls were kept.

    An answer that brings nothing new for its window is not kept.
    """

    window: Window
    times: int
    last_at: datetime
    kept: int


class ReturnSources:
    """The sources of the return ``sought``, read from the hours that may hold it."""

    def __init__(self, sought: SoughtReturn, hours: CandidateHours) -> None:
        self._sought = sought
        self._serving: list[tuple[Served, list[int]]] = []
        self._told: list[Told] = []
        self._refusals: list[tuple[Served, list[tuple[int, str]]]] = []
        self._served: dict[Window, list[Served]] = {}
        self.windows: set[Window] = set()
        """Every window whose polls were read."""
        self._follow(hours)

    @property
    def is_polled(self) -> bool:
        """Whether a poll served it, even in a record that cannot be used."""
        return bool(self._serving or self._refusals)

    def copies(self) -> list[SourceCopies]:
        """What each poll and webhook holds of it, oldest first."""
        found = [
            SourceCopies(
                source=_source_of(of),
                copies=[_copy(of, position) for position in positions],
                records=[of.records[position] for position in positions],
                repeated_at=of.at if of.is_repeated else None,
            )
            for of, positions in self._serving
        ]
        found += [
            SourceCopies(
                source=told.copy.source,
                copies=[told.copy],
                records=[told.body.decode(errors="replace")],
                received_at=told.received_at,
            )
            for told in self._told
        ]
        return sorted(found, key=lambda one: one.copies[0].of_source)

    def rejected(self) -> list[RejectedRecords]:
        """The records of each poll that cannot be used, oldest first."""
        return [
            RejectedRecords(
                _source_of(of),
                of.is_repeated,
                [of.records[position] for position, _ in refused],
                [reason for _, reason in refused],
            )
            for of, refused in self._refusals
        ]

    def is_rejected_in(self, window: Window) -> bool:
        """Whether a poll of ``window`` served it in a record that cannot be used."""
        return any(of.source == window for of, _ in self._refusals)

    def silent(self) -> list[Source]:
        """The kept polls that did not serve it, later than one of their window that did."""
        serving = {(of.source, of.poll.number) for of, _ in (*self._serving, *self._refusals)}
        found: list[Source] = []
        for window in {window for window, _ in serving}:
            since = min(number for of, number in serving if of == window)
            found += [
                _source_of(of)
                for of in self._served[window]
                if not of.is_repeated
                and of.poll.number > since
                and (window, of.poll.number) not in serving
            ]
        return sorted(found, key=lambda poll: (poll.at, poll.window))

    def answered(self) -> list[Answered]:
        """How often each window was polled that served it."""
        polled = (of.source for of, _ in (*self._serving, *self._refusals))
        windows = sorted({*polled, *(told.copy.source.window for told in self._told)})
        log = self._sought.lake.poll_log.of_all(windows)
        found: list[Answered] = []
        for window in windows:
            kept = [poll.polled_at for poll in self._sought.names.hour(window).polls]
            times = [*kept, *(a.at for a in log.get(window.key, ()) if not a.error)]
            if times:
                found.append(Answered(window, len(times), max(times), len(kept)))
        return found

    def quarantined(self) -> list[tuple[Window, int]]:
        """The quarantined polls of the windows that were read, by hour and number."""
        return sorted(
            (window, number)
            for window in self.windows
            for number, _, _ in self._sought.names.hour(window).lost
            if number
        )

    # ---- reading

    def _follow(self, hours: CandidateHours) -> None:
        """Read the polls of each window that may have served it, until there is none left."""
        waiting = set(hours.windows)
        while waiting:
            window = min(waiting)
            waiting.discard(window)
            self.windows.add(window)
            homes = self._read_polls(window)
            if homes is None and window not in hours.with_tables:
                continue
            near = {*sources_of(window, self._sought.names), *(homes or ())}
            waiting |= near - self.windows
        self._serving.sort(key=lambda pair: pair[0].order)
        self._refusals.sort(key=lambda pair: pair[0].order)

    def _read_polls(self, window: Window) -> set[Window] | None:
        """Keep what ``window`` served of it, and webhooks about it that were requested there.

        The hours it was requested in; None if there is neither.
        """
        sought = self._sought
        try:
            served = served_by(sought.lake, sought.names, sought.reader, [window])
            told = placed_in(sought.lake, sought.names, sought.reader, [window])
        except LakeDamaged as error:
            sought.note(error)
            return None
        self._served[window] = served
        mine = [one for one in told if one.copy.typed.reference == sought.reference]
        self._told += mine
        homes: set[Window] = {window} if mine else set()
        is_there = bool(mine)
        for of in served:
            positions, refused = [], []
            for position, record in enumerate(of.records):
                head = of.reader.head(decode(record))
                if isinstance(head, Refused):
                    if sought.is_named_by(record):
                        refused.append((position, head.reason))
                elif head[0] == sought.reference:
                    positions.append(position)
                    homes.add(Window.of(head[1]))
            if positions:
                self._serving.append((of, positions))
            if refused:
                self._refusals.append((of, refused))
            is_there = is_there or bool(positions or refused)
        return homes if is_there else None


def _copy(of: Served, position: int) -> Copy:
    content = decode(of.records[position])
    head = of.reader.head(content)
    if isinstance(head, Refused):
        message = "only a record with a head is a copy"
        raise TypeError(message)
    return of.copy(position, of.reader.typed(content, *head))


def _source_of(of: Served) -> Source:
    return Source("poll", of.source, of.poll.number, of.polled_at, of.first)
