"""One hour: read its polls, make its tables, judge them, publish them.

Settling is a pure function of the polls in the lake, so it may be done twice, by two processes, or
again after a kill: it ends when the polls it read are still all there are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration import tables
from returns_orchestration.errors import HourBlocked, LakeDamaged
from returns_orchestration.flow.gather import gather
from returns_orchestration.lake.entries import sources_of
from returns_orchestration.stages import aggregates, ownership
from returns_orchestration.stages.typing import Refused, decode
from returns_orchestration.trust import claims
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    import polars as pl

    from returns_orchestration.flow.gather import Housed
    from returns_orchestration.lake import Lake, MadeRecord, PollRecord
    from returns_orchestration.lake.entries import HourEntry
    from returns_orchestration.stages.landing import Landed
    from returns_orchestration.stages.ownership import Return
    from returns_orchestration.stages.typing import RecordReader
    from returns_orchestration.trust.claims import Claim


@dataclass(frozen=True, slots=True)
class Accounting:
    """Where the records of one poll went: served = kept + duplicate + rejected.

    ``kept`` counts the returns that this window was the earliest to serve, ``duplicate`` further
    copies and pieces of a return and returns that an earlier window served, ``lost`` those that
    are nowhere (a claim blocks the hour if there is one).
    """

    served: int
    kept: int
    duplicate: int
    rejected: int
    lost: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What was made of one hour; ``changed`` names the tables whose bytes are new."""

    window: Window
    frames: dict[str, pl.DataFrame]
    record: MadeRecord
    changed: set[str]
    claims: dict[str, list[Claim]]
    accounting: Accounting | None


class Settler:
    """Settles hours of one lake with one reader of records."""

    def __init__(self, lake: Lake, reader: RecordReader) -> None:
        self._lake = lake
        self._reader = reader

    def settle(self, window: Window, landed: Landed | None = None) -> Settled | None:
        """Make and publish the tables of ``window``; None where it was never polled.

        ``landed`` is the poll just taken, to be accounted for. Raises LakeError, and HourBlocked
        where a blocking claim fails: then nothing of the hour was replaced.
        """
        while True:
            sources = self._sources(window)
            if not sources[window]:
                return None
            settled = self._make(window, sources, landed)
            # Another process may have landed a poll meanwhile, and published before this one.
            if self._sources(window) == sources:
                return settled

    def affected(self, window: Window) -> set[Window]:
        """The other polled hours whose tables may differ because of the polls of ``window``."""
        return self.sources_of(window) - {window}

    def sources_of(self, window: Window) -> set[Window]:
        """The polled hours whose polls the tables of ``window`` are made of."""
        homes = _homes_of(self._lake.polls(window))
        hours = sources_of(window, homes, self._lake.entry)
        return {hour for hour in hours if self._lake.entry(hour).polls}

    def serving(self, window: Window, references: Collection[str]) -> set[Window]:
        """The windows that served any of ``references``, as far as ``window`` knows of them."""
        housed = gather(self._lake, self._reader, window, self._sources(window))
        mine = (of.found for of in housed if of.found.reference in references)
        return set().union(*(found.windows for found in mine))

    def is_settled(self, window: Window) -> bool:
        """Whether the tables of ``window`` were made of the very polls that there are now."""
        try:
            made = self._lake.made(window)
            return made is not None and made.made_of == _names(self._sources(window))
        except LakeDamaged:  # settling mends it, or says why it cannot
            return False

    def _sources(self, window: Window) -> dict[Window, list[PollRecord]]:
        """The polls of every window that serves what lives in ``window``, or what it serves."""
        entries: dict[Window, HourEntry] = {}

        def entry_of(hour: Window) -> HourEntry:
            if hour not in entries:
                entries[hour] = self._lake.entry(hour)
            return entries[hour]

        own = self._lake.polls(window, entry_of(window))
        return {
            source: own if source == window else self._lake.polls(source, entry_of(source))
            for source in sources_of(window, _homes_of(own), entry_of)
        }

    def _make(
        self, window: Window, sources: dict[Window, list[PollRecord]], landed: Landed | None
    ) -> Settled:
        housed = gather(self._lake, self._reader, window, sources)
        mine = [of.found for of in housed if self._lives_in(window, of, sources)]
        mine.sort(key=lambda found: (found.requested_at, found.reference))
        frames = self._frames(window, mine, sources[window])
        accounting = _account(window, housed, {r.reference for r in mine}, frames, landed)
        judged = self._judge(window, frames, mine, accounting)
        facts = {
            "returns": frames[tables.RETURNS.name].height,
            "items": frames[tables.RETURN_ITEMS.name].height,
            "rejected": frames[tables.REJECTED_RETURNS.name].height,
            "late": sum(found.late for found in mine),
        }
        polled_at = [poll.polled_at for poll in sources[window]]
        record, changed = self._lake.publish(
            window,
            frames,
            _names(sources),
            facts,
            polled_at,
            _first_seen(window, mine),
            sorted(home.key for home in _homes_of(sources[window]) - {window}),
        )
        return Settled(window, frames, record, changed, judged, accounting)

    def _lives_in(
        self, window: Window, of: Housed, sources: dict[Window, list[PollRecord]]
    ) -> bool:
        if of.home == window:
            return True
        polled = sources[of.home] if of.home in sources else self._lake.entry(of.home).polls
        return not polled and min(of.named_by) == window

    def _frames(
        self, window: Window, mine: list[Return], polls: list[PollRecord]
    ) -> dict[str, pl.DataFrame]:
        returns = ownership.returns_frame(mine)
        items = ownership.items_frame(mine)
        return {
            tables.RETURNS.name: returns,
            tables.RETURN_ITEMS.name: items,
            tables.REFUND_MODES_HOURLY.name: aggregates.refund_modes(
                tables.REFUND_MODES_HOURLY, window.start, returns, items
            ),
            tables.RETURN_REASONS_HOURLY.name: aggregates.return_reasons(
                tables.RETURN_REASONS_HOURLY, window.start, items
            ),
            tables.REJECTED_RETURNS.name: self._rejected(polls),
        }

    def _rejected(self, polls: list[PollRecord]) -> pl.DataFrame:
        """Each unusable record once, from the first poll that served it."""
        rows: list[tuple[datetime, int, str, str]] = []
        seen: Counter[str] = Counter()
        for poll in polls:
            if not poll.rejected:
                continue
            in_poll: Counter[str] = Counter()
            reader = self._reader.of_poll(poll.zone)
            for position, record in enumerate(self._lake.served(poll)):
                head = reader.head(decode(record))
                if isinstance(head, Refused):
                    in_poll[record] += 1
                    if in_poll[record] > seen[record]:
                        rows.append((poll.polled_at, position, head.reason, record))
            seen |= in_poll
        names = tables.REJECTED_RETURNS.schema.names()
        columns: dict[str, list[object]] = {
            name: [row[at] for row in rows] for at, name in enumerate(names)
        }
        return tables.REJECTED_RETURNS.frame(columns)

    @staticmethod
    def _judge(
        window: Window,
        frames: dict[str, pl.DataFrame],
        mine: Iterable[Return],
        accounting: Accounting | None,
    ) -> dict[str, list[Claim]]:
        new_keys = Counter(
            key for found in mine for key in frozenset().union(*(p.new_keys for p in found.pieces))
        )
        judged = claims.of_hour(window, frames, new_keys)
        blocking = [claim for made in judged.values() for claim in made if claim.blocks]
        if accounting is not None:
            claim = claims.accounted_for(**{f: getattr(accounting, f) for f in ACCOUNTING_FIELDS})
            judged[tables.RAW_RETURNS.name] = [claim]
            blocking += [claim] if claim.blocks else []
        if blocking:
            raise HourBlocked(window.key, judged, "; ".join(c.sentence for c in blocking))
        return judged


def _homes_of(polls: Iterable[PollRecord]) -> set[Window]:
    return {Window.from_key(key) for poll in polls for key in poll.homes}


def _names(sources: dict[Window, list[PollRecord]]) -> list[str]:
    return sorted(poll.name for polls in sources.values() for poll in polls)


def _first_seen(window: Window, mine: Iterable[Return]) -> dict[int, tuple[int, int]]:
    """By the age of the poll, hours after the window's end, that served them first: returns, late.

    Age 0 holds what was served within an hour of the end, or before it by a neighbour.
    """
    seen: Counter[int] = Counter()
    late: Counter[int] = Counter()
    for found in mine:
        age = max(0, window.next.hours_to(found.first_polled_at))
        seen[age] += 1
        late[age] += found.late
    return {age: (seen[age], late[age]) for age in sorted(seen)}


ACCOUNTING_FIELDS = ("served", "kept", "duplicate", "rejected", "lost")


def _account(
    window: Window,
    housed: list[Housed],
    mine: set[str],
    frames: dict[str, pl.DataFrame],
    landed: Landed | None,
) -> Accounting | None:
    """Where the poll ``landed`` went; ``mine`` are the references that live in ``window``."""
    if landed is None:
        return None
    earliest = {of.found.reference: min(of.found.windows) for of in housed}
    # What lives in this hour must be in the very frame that is about to be published; what lives
    # in another hour is in that hour's, which its own settling sees to.
    here = set(frames[tables.RETURNS.name].get_column(tables.REFERENCE.name))
    elsewhere = earliest.keys() - mine
    present = [earliest[r] for r in landed.distinct if r in here or r in elsewhere]
    kept = sum(first == window for first in present)
    copies = landed.served - landed.rejected - len(landed.distinct)
    unpublished = max(0, landed.rejected - frames[tables.REJECTED_RETURNS.name].height)
    return Accounting(
        served=landed.served,
        kept=kept,
        duplicate=copies + len(present) - kept,
        rejected=landed.rejected - unpublished,
        lost=len(landed.distinct) - len(present) + unpublished,
    )
