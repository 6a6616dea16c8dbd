"""One hour: read its polls and webhooks, make its tables, judge them, publish them.

Building is a pure function of the polls and webhooks in the lake, so it may be done twice, by two
processes, or again after a kill: it ends when what it read is still all there is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration import tables
from returns_orchestration.errors import HourBlocked
from returns_orchestration.flow.mend import known_sources, note_absent
from returns_orchestration.lake import journal
from returns_orchestration.lake.names import inputs_of, sources_of
from returns_orchestration.lake.polls import poll_name
from returns_orchestration.stages.copies import copies_of_hour
from returns_orchestration.stages.frames import frames_of_hour
from returns_orchestration.stages.ownership import hash_of
from returns_orchestration.stages.rules import Rules
from returns_orchestration.state import claims
from returns_orchestration.state.hours import is_made
from returns_orchestration.state.news import new_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import polars as pl

    from returns_orchestration.lake import Lake, Made, Names, Poll
    from returns_orchestration.stages.copies import HourCopies, Located
    from returns_orchestration.stages.landing import Landed
    from returns_orchestration.stages.ownership import Return
    from returns_orchestration.stages.typing import RecordReader
    from returns_orchestration.state.claims import Claim
    from returns_orchestration.window import Window


@dataclass(frozen=True, slots=True)
class Accounting:
    """Where the records of one poll went: served = kept + duplicate + rejected.

    ``kept`` counts the returns that this window was the earliest to serve, ``duplicate`` further
    copies and pieces of a return and returns that an earlier window served, ``lost`` those that
    are in no table (a claim blocks the hour if there is one).
    """

    served: int
    kept: int
    duplicate: int
    rejected: int
    lost: int


@dataclass(frozen=True, slots=True)
class BuiltHour:
    """The tables made of one hour, and its own polls that they were made of.

    ``changed`` names the tables whose bytes are new.
    """

    window: Window
    frames: dict[str, pl.DataFrame]
    record: Made
    changed: set[str]
    claims: dict[str, list[Claim]]
    accounting: Accounting | None
    polls: Sequence[Poll]


class HourBuilder:
    """Builds hours of one lake with one reader of records."""

    def __init__(self, lake: Lake, reader: RecordReader) -> None:
        self._lake = lake
        self._reader = reader

    def build(
        self,
        names: Names,
        window: Window,
        landed: Landed | None = None,
        *,
        check_files: bool = False,
    ) -> BuiltHour | None:
        """Make and publish the tables of ``window``; None where nothing of it is kept.

        ``landed`` is the poll just taken, to be accounted for; with ``check_files`` each existing
        file is read. Raises LakeError, and HourBlocked where a blocking claim fails: then no file
        of the hour was replaced.
        """
        while names.hour(window).has_copies:
            inputs = inputs_of(window, names)
            sources = sources_of(window, names)
            copies = copies_of_hour(self._lake, names, self._reader, window, sources)
            if self._mark(names, window, copies):
                continue
            note_absent(self._lake, names, window)
            built = self._make(names, window, copies, inputs, landed, check_files=check_files)
            # Another process may have landed a poll meanwhile, and published before this one.
            names.refresh(sources)
            if inputs_of(window, names) == inputs:
                return built
        return None

    def affected(self, names: Names, window: Window) -> set[Window]:
        """The other polled hours whose tables may differ because of the polls of ``window``."""
        homes = {window, *names.hour(window).went_to}
        hours = homes.union(*(names.hour(home).came_from for home in homes))
        return {hour for hour in hours - {window} if names.hour(hour).has_copies}

    def stale(self, names: Names, made: Iterable[Window]) -> set[Window]:
        """Hours around those ``made`` that are not made of all their polls: marks were added."""
        near = set(made).union(*(self.affected(names, window) for window in made))
        return {w for w in near if names.hour(w).has_copies and not is_made(w, names)}

    def serving(self, names: Names, window: Window, references: Collection[bytes]) -> set[Window]:
        """The windows that served a return of these hashes, as far as ``window`` has marks."""
        sources = sources_of(window, names)
        copies = copies_of_hour(self._lake, names, self._reader, window, sources)
        mine = (of.found for of in copies.returns if hash_of(of.found.reference) in references)
        return set().union(*(found.windows for found in mine))

    def _mark(self, names: Names, window: Window, copies: HourCopies) -> bool:
        """Put the marks that are missing around ``window``; returns whether there were any.

        By today's rules its records may live in hours that no mark names yet. A return that another
        window moved away is linked from all windows that served it to its new hour. A killed run
        may have put one of two marks. The entry of the tables shows a mark that was lost.
        """
        hour = names.hour(window)
        homes: dict[Window, set[Window]] = {window: {*copies.homes, *hour.went_to}}
        homes |= {source: {window} for source in hour.came_from}
        lost = known_sources(self._lake, names, window).difference(sources_of(window, names))
        for source in lost:
            homes.setdefault(source, set()).add(window)
        for of in copies.returns:
            for source in (window, *of.found.windows):  # so that this hour names the new one
                homes.setdefault(source, set()).add(of.home)
        new = [self._lake.entries.mark(names, source, found) for source, found in homes.items()]
        return any(new)

    def _make(  # noqa: PLR0913 - what an hour is made of
        self,
        names: Names,
        window: Window,
        copies: HourCopies,
        inputs: str,
        landed: Landed | None,
        *,
        check_files: bool,
    ) -> BuiltHour:
        mine = [of.found for of in copies.returns if self._lives_in(names, window, of)]
        mine.sort(key=lambda found: (found.requested_at, found.reference))
        frames = frames_of_hour(window, mine, copies.rejected)
        accounting = _account(window, copies.returns, {r.reference for r in mine}, frames, landed)
        judged = self._judge(window, frames, accounting)
        keys = frozenset().union(*(p.new_keys for found in mine for p in found.pieces))
        # Before it is published, as a run that is killed after that does not build it again.
        self._lake.news.note(new_names(frames, keys, window.key))
        facts = {
            "returns": frames[tables.RETURNS.name].height,
            "items": frames[tables.RETURN_ITEMS.name].height,
            "rejected": frames[tables.REJECTED_RETURNS.name].height,
            "late": sum(found.late for found in mine),
            "provisional": sum(found.first_polled_at is None for found in mine),
        }
        if not mine and not names.hour(window).polls:
            frames = {}  # a file of no rows would say that the API was asked
        record, changed = self._lake.publish(
            names,
            window,
            frames,
            inputs=inputs,
            rules=Rules.of_today().hours,
            made_of=_made_of(names, window),
            facts=facts,
            first_seen=_first_seen(window, mine),
            references=b"".join(hash_of(found.reference) for found in mine),
            check_files=check_files,
        )
        polls = names.hour(window).polls
        return BuiltHour(window, frames, record, changed, judged, accounting, polls)

    @staticmethod
    def _lives_in(names: Names, window: Window, of: Located) -> bool:
        if of.home == window:
            return True
        if names.hour(of.home).has_copies:
            return False
        return window == min(w for w in of.named_by if names.hour(w).has_copies)

    @staticmethod
    def _judge(
        window: Window,
        frames: dict[str, pl.DataFrame],
        accounting: Accounting | None,
    ) -> dict[str, list[Claim]]:
        judged = claims.of_hour(window, frames)
        blocking = [claim for made in judged.values() for claim in made if claim.blocks]
        if accounting is not None:
            claim = claims.accounted_for(**{f: getattr(accounting, f) for f in ACCOUNTING_FIELDS})
            judged[tables.RAW_RETURNS.name] = [claim]
            blocking += [claim] if claim.blocks else []
        if blocking:
            raise HourBlocked(window.key, judged, "; ".join(c.figures for c in blocking))
        return judged


def _made_of(names: Names, window: Window) -> list[str]:
    """The polls that ``window`` is made of, and the entries that define how they are read."""
    found: list[str] = []
    for source in sources_of(window, names):
        hour = names.hour(source)
        folder = journal.date_folder(source.start.date())
        found += (poll_name(source, poll.number) for poll in hour.polls)
        found += (f"{folder}/{name}" for name in hour.inputs if ".poll-" not in name)
    return sorted(found)


def _first_seen(window: Window, mine: Iterable[Return]) -> dict[int, tuple[int, int]]:
    """By the age of the poll, hours after the window's end, that served them first: returns, late.

    Age 0 holds what was served within an hour of the end, or before it by a neighbour.
    """
    seen: Counter[int] = Counter()
    late: Counter[int] = Counter()
    for found in mine:
        if found.first_polled_at is None:
            continue
        age = max(0, window.next.hours_to(found.first_polled_at))
        seen[age] += 1
        late[age] += found.late
    return {age: (seen[age], late[age]) for age in sorted(seen)}


ACCOUNTING_FIELDS = ("served", "kept", "duplicate", "rejected", "lost")


def _account(
    window: Window,
    returns: list[Located],
    mine: set[str],
    frames: dict[str, pl.DataFrame],
    landed: Landed | None,
) -> Accounting | None:
    """Where the records of ``landed`` went; ``mine`` are the references that live in ``window``."""
    if landed is None:
        return None
    earliest = {of.found.reference: min(of.found.polled_in) for of in returns if of.found.polled_in}
    # A return of this hour must be in the very frame that is about to be published; a return of
    # another hour is in that hour's frame, which its own build makes.
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
