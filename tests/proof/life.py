"""The pipeline against a model in dictionaries: hypothesis runs random lives and compares.

It polls hours in any order, again, without success and half killed, while the API adds, changes,
moves and hides returns, repeats earlier replies and changes its edge rule. The zone of naive times
is changed and corrected, releases change the rules, and the lake is restored from an older copy.
``Model`` gives the expected content of the lake.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from proof.mending import tables_of
from proof.model import (
    EDGES,
    FORMS,
    HOUR,
    HOURS,
    Api,
    Hour,
    Model,
    Reply,
    Said,
    name,
    place_of,
    records_of,
)
from proof.mortal_store import Killed, Mortal
from proof.result import Result, in_words
from support.lakes import OF_ALL_TIME, bytes_of, counted, rows_with_place

from returns_orchestration.clickpost import Poll
from returns_orchestration.errors import ServerFault
from returns_orchestration.flow.days import DayBuilder
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.outcomes import Failed, Outcome, Polled, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake
from returns_orchestration.stages import rules
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.state.findings import Finding
from returns_orchestration.state.places import find_misplaced
from returns_orchestration.state.status import states
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window, days_of

REPORT_ZONES = ("UTC", "Asia/Kolkata")
CLIENT_ZONES = ("UTC", "Africa/Lagos", "Asia/Kolkata")
"""Values of CLICKPOST_TIME_ZONE; the API's own local time is UTC."""

MINUTE = timedelta(minutes=1)
END = HOURS[-1] + HOUR
NOW = END + timedelta(days=3)
STEPS = 18
FIRST_VERSION = rules.VERSION
COLUMNS = ("return_reference_number", "requested_at", "status", "refund_mode", "pieces")

hours = st.sampled_from(HOURS)
some_hours = st.lists(hours, min_size=1, unique=True)
moments = st.builds(
    lambda hour, offset: hour + offset,
    hours,
    st.sampled_from([timedelta(0), timedelta(microseconds=1), 30 * MINUTE, 60 * MINUTE]),
)
modes = st.sampled_from(["UPI", "Credits", None])
forms = st.sampled_from(sorted(FORMS))
births = st.tuples(moments, st.booleans(), modes, st.booleans(), st.integers(1, 2))
deaths = st.tuples(st.integers(0, 60), st.integers(0, 2**16))
"""How many steps a run takes until it is killed, and the seed of the order of files put at once."""


@dataclass
class Asked:
    """A requested hour, its reply, and how many files had been put by then."""

    reply: Reply
    written: int


@dataclass
class Copy:
    """An earlier copy of the lake, and the model then."""

    files: dict[str, bytes]
    model: Model
    waived: set[Hour]
    left: set[Hour]


class Life(RuleBasedStateMachine):
    """One pipeline, one API, one model."""

    runs = 0
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        rules.VERSION = FIRST_VERSION  # type: ignore[misc]
        self.store = Mortal()
        self.zone, self.client_zone = REPORT_ZONES[0], CLIENT_ZONES[0]
        self.api = Api()
        self.waived: set[Hour] = set()
        self.left: set[Hour] = set()
        """Hours of killed runs that no run has reached since."""
        self.failing: frozenset[Hour] = frozenset()
        self.reverse = False
        self.numbers, self.names = itertools.count(), itertools.count()
        self.model = Model()
        self.asked: list[Asked] = []
        self.copy: Copy | None = None
        self.known: dict[Window, str] = {}
        self.known_numbers: dict[Hour, int] = {}

    # ---- the API, in place of the client

    def poll(self, window: Window) -> Poll:
        hour = window.start
        if hour in self.failing:
            raise ServerFault("ClickPost failed on its own side.")
        returns, unusable = self.api.answer(hour, self.client_zone)
        records = [text for k, said in returns.items() for text in records_of(k, said)]
        records += sorted(unusable)
        served = tuple(records[::-1] if self.reverse else records)
        number = next(self.numbers)
        reply = Reply(number, hour, self.client_zone, returns, unusable, self.reverse)
        self.asked.append(Asked(reply, len(self.store.written)))
        polled_at = END + number * MINUTE
        return Poll(window, polled_at, served, 1, 1, 0, 0.1, null_result=False, damaged_text=0)

    # ---- the pipeline

    def pipeline(self) -> HourPipeline:
        lake = Lake(self.store, lambda: NOW)
        days = DayBuilder(lake, ZoneInfo(self.zone), wait=lambda _: None)
        reader = RecordReader(ZoneInfo(self.client_zone))
        return HourPipeline(
            lake, reader, lambda *_: nullcontext(self), 1, days=days, clock=lambda: NOW
        )  # type: ignore[arg-type,return-value]

    def run(self, which: list[Hour], **how: Any) -> Iterator[Outcome]:
        """A run, as Dagster sees it: Dagster keeps the newest kept poll of each reported hour."""
        type(self).steps += 1
        self.asked = []
        windows = [Window(hour) for hour in which]
        for outcome in self.pipeline().run(windows, known=dict(self.known), **how):
            if isinstance(outcome, Polled):
                hour = outcome.window.start
                self.known[outcome.window] = max(outcome.kept, key=lambda p: p.number).sha256
                self.known_numbers[hour] = self.asked[-1].reply.number
            yield outcome

    def run_hours(self, which: list[Hour], *, missing_only: bool = False) -> None:
        """A run that finishes; its requests and its kept polls must be right."""
        due = [h for h in which if self.needs_poll(h)] if missing_only else which
        outcomes = list(self.run(which, missing_only=missing_only))
        bad = {o.window.start for o in outcomes if isinstance(o, Failed)}
        assert bad == self.failing & set(due), outcomes
        assert not [o for o in outcomes if isinstance(o, Stopped)], outcomes
        assert [a.reply.hour for a in self.asked] == [h for h in due if h not in bad]
        for asked, noted in self.noted():
            before = list(self.model.replies)
            found = self.model.poll(asked.reply)
            said_otherwise = self.model.last_word_of_others(asked.reply)
            if (noted, found) == ("", "again") and said_otherwise & self.left:
                # A killed run's kept poll of another hour may be about this return or not.
                self.model.replies = before
            else:
                assert noted == found, f"{asked.reply} was {noted or 'not noted'}, not {found}"
        self.left -= set(which) - bad
        self.learn_numbers()

    def learn_numbers(self) -> None:
        """Dagster holds the newest kept poll of each hour reported to it."""
        for asked in self.asked:
            hour = asked.reply.hour
            if self.known_numbers.get(hour) == asked.reply.number:
                self.known_numbers[hour] = self.model.kept(hour)[-1]

    def noted(self) -> Iterator[tuple[Asked, str]]:
        """Each reply of a run with how it was noted: as a kept poll, as a repetition, or not."""
        ends = [asked.written for asked in self.asked[1:]] + [len(self.store.written)]
        for asked, end in zip(self.asked, ends, strict=False):
            hour, paths = asked.reply.hour, self.store.written[asked.written : end]
            kept = any(path.startswith(f"raw_returns/{place_of(hour)}/") for path in paths)
            again = any(path.startswith(f"{_entries(hour)}again-") for path in paths)
            yield asked, "kept" if kept else "again" if again else ""

    def needs_poll(self, hour: Hour) -> bool:
        """Whether an hour is missing."""
        return self.state(hour) == "missing"

    def state(self, hour: Hour) -> str:
        """The state of an hour once the lake is at rest."""
        polls = self.model.kept(hour)
        if hour in self.waived and not polls:
            return "waived"
        known = self.known_numbers.get(hour)
        # A poll that a killed run left without its entry is not seen by its name.
        noted = polls[:-1] if self.has_an_unnoted_poll(hour) else polls
        if not polls or (known is not None and known not in noted):
            return "missing"
        return "complete" if self.model.lives_in(hour) else "empty"

    def has_an_unnoted_poll(self, hour: Hour) -> bool:
        files = list(self.store.list(f"raw_returns/{place_of(hour)}"))
        day = f"_journal/date={hour:%Y-%m-%d}"
        entries = [p for p in self.store.list(day) if p.startswith(f"{_entries(hour)}poll-")]
        return len(files) > len(entries)

    @initialize(
        edge=st.sampled_from(sorted(EDGES)),
        given=st.lists(births, min_size=2, max_size=6),
        which=st.lists(hours, min_size=1, max_size=4, unique=True),
    )
    def is_born(self, edge: str, given: list[Any], which: list[Hour]) -> None:
        """A life that began empty would end before two events coincide."""
        self.api.edge = edge
        for one in given:
            self.a_return_appears(one)
        self.run_hours(which)

    @rule(which=some_hours, reverse=st.booleans())
    def polls(self, which: list[Hour], reverse: bool) -> None:
        self.reverse = reverse
        self.run_hours(which)

    @rule(which=some_hours)
    def polls_what_is_missing(self, which: list[Hour]) -> None:
        self.run_hours(which, missing_only=True)

    @rule(which=some_hours, bad=st.sets(hours, min_size=1))
    def polls_in_vain(self, which: list[Hour], bad: set[Hour]) -> None:
        self.failing = frozenset(bad)
        self.run_hours(which)
        self.failing = frozenset()

    @rule(which=some_hours, death=deaths, poll=st.booleans(), again=st.booleans())
    def is_killed(self, which: list[Hour], death: tuple[int, int], poll: bool, again: bool) -> None:
        """Its notes so far count; it may be started again at once, or later, or never."""
        with self.dying(death):
            list(self.run(which, poll=poll))
        for asked, noted in self.noted():
            if noted:
                assert self.model.poll(asked.reply) == noted
        self.learn_numbers()
        faults = [finding.text for finding in self.findings() if finding.is_fault]
        assert not faults, faults
        self.left |= set(which)
        if again:
            self.run_hours(which)

    @rule(death=deaths)
    def is_killed_in_a_rebuild(self, death: tuple[int, int]) -> None:
        with self.dying(death):
            self.rebuild()

    def dying(self, death: tuple[int, int]) -> Any:
        """A span in which the process may die."""
        return _Dying(self.store, *death)

    @rule(zone=st.sampled_from(REPORT_ZONES), hour=st.none() | hours)
    def a_person_decides(self, zone: str, hour: Hour | None) -> None:
        """The zone of the report changes, or an hour is waived."""
        if hour is None:
            self.zone = zone
        else:
            self.pipeline().lake.waive(Window(hour), "nobody was there")
            self.waived.add(hour)

    @rule(zone=st.sampled_from(CLIENT_ZONES), polled=st.none() | some_hours)
    def changes_the_zone_of_the_client(self, zone: str, polled: list[Hour] | None) -> None:
        self.client_zone = zone
        if polled:
            self.run_hours(polled)

    @precondition(lambda self: self.model.replies)
    @rule(zone=st.sampled_from(CLIENT_ZONES))
    def corrects_the_zone_of_what_was_polled(self, zone: str) -> None:
        self.comes_to_rest()
        lake = self.pipeline().lake
        names = lake.names()
        for hour in HOURS:
            lake.polls.rezone(names, Window(hour), zone)
        self.model.rezone(zone)

    @rule()
    def a_release_changes_the_rules(self) -> None:
        before = self.told()
        rules.VERSION += 1  # type: ignore[misc]
        outdated = {"complete": "outdated", "empty": "outdated"}
        assert self.told() == {hour: outdated.get(state, state) for hour, state in before.items()}

    @rule()
    def the_lake_is_copied(self) -> None:
        self.copy = Copy(self.store.copied(), self.model.copy(), set(self.waived), set(self.left))

    @precondition(lambda self: self.api.returns)
    @rule(data=st.data(), mode=modes, which=some_hours, polled=st.booleans())
    def is_put_back_by_some_polls(
        self, data: st.DataObject, mode: str | None, which: list[Hour], polled: bool
    ) -> None:
        """The hours polled in between are polled again, at once or later."""
        self.the_lake_is_copied()
        self.becomes(data, polled, mode=mode)
        self.run_hours(which)
        self.an_older_copy_is_put_back()
        if polled:
            self.run_hours(which, missing_only=True)

    @precondition(lambda self: self.copy)
    @rule()
    def an_older_copy_is_put_back(self) -> None:
        """Dagster still has the later polls: hours that the copy lacks are polled again."""
        assert self.copy
        self.store.restore(self.copy.files)
        self.model, self.waived = self.copy.model.copy(), set(self.copy.waived)
        self.left = set(self.copy.left)

    @precondition(lambda self: self.model.replies)
    @rule(rests=st.booleans())
    def rebuilds(self, rests: bool) -> None:
        """A lake at rest does not change; and a rebuild also brings it to rest."""
        type(self).steps += 1
        if rests:
            self.comes_to_rest()
        before = tables_of(bytes_of(self.store))
        self.rebuild()
        after = tables_of(bytes_of(self.store))
        for tables in (before, after):
            for folder in OF_ALL_TIME:
                tables.pop(f"{folder}part-0.parquet", None)
        assert not rests or after == before
        self.holds()

    def rebuild(self) -> None:
        rebuilt = Rebuilder(self.pipeline()).rebuild(HOURS[0], END)
        assert rebuilt.is_whole, rebuilt
        # Days of another zone may be left without an hour in this one.
        assert all(place.split("/")[1].endswith("_daily") for place in rebuilt.quarantined), rebuilt

    # ---- the changes of the API

    @rule(birth=births)
    def a_return_appears(self, birth: tuple[datetime, bool, str | None, bool, int]) -> None:
        requested, naive, mode, shared, pieces = birth
        served = frozenset(range(1, pieces + 1))
        said = Said(requested, naive, "S-0", mode, shared, served)
        self.api.becomes(name(next(self.names)), said)

    @precondition(lambda self: self.api.returns)
    @rule(data=st.data(), mode=modes, form=forms, polled=st.booleans())
    def a_return_changes(
        self, data: st.DataObject, mode: str | None, form: str, polled: bool
    ) -> None:
        self.becomes(data, polled, mode=mode, form=form)

    @precondition(lambda self: self.api.returns)
    @rule(data=st.data(), requested=moments, mode=modes, polled=st.booleans())
    def a_return_moves(
        self, data: st.DataObject, requested: datetime, mode: str | None, polled: bool
    ) -> None:
        """Its request time changes, to any hour; the old hour serves it no more."""
        self.becomes(data, polled, requested=requested, mode=mode)

    @precondition(lambda self: self.api.returns)
    @rule(data=st.data(), pieces=st.sets(st.integers(1, 3), min_size=1), polled=st.booleans())
    def its_pieces_come_and_go(self, data: st.DataObject, pieces: set[int], polled: bool) -> None:
        """Pieces that share items are added, and not removed: they would be another courier's."""
        self.becomes(data, polled, pieces=frozenset(pieces))

    def becomes(self, data: st.DataObject, polled: bool, **changes: Any) -> None:
        reference = data.draw(st.sampled_from(sorted(self.api.returns)))
        said = self.api.returns[reference]
        if said.shared and "pieces" in changes:
            changes["pieces"] |= said.pieces
        said = said._replace(status=self.new_status(), **changes)
        self.api.becomes(reference, said)
        if polled:
            self.asks_for(said)

    @precondition(lambda self: any(map(self.api.said_before, self.api.returns)))
    @rule(data=st.data(), polled=st.booleans())
    def a_return_goes_back(self, data: st.DataObject, polled: bool) -> None:
        """It returns to exactly its earlier values."""
        api = self.api
        changed = [r for r in sorted(api.returns) if api.said_before(r)]
        reference = data.draw(st.sampled_from(changed))
        said = data.draw(st.sampled_from(api.said_before(reference)))
        api.becomes(reference, said)
        if polled:
            self.asks_for(said)

    @precondition(lambda self: self.api.returns)
    @rule(data=st.data(), places=st.lists(moments, min_size=1, max_size=3))
    def a_return_wanders(self, data: st.DataObject, places: list[datetime]) -> None:
        """From hour to hour and back to the first, which repeats its earlier reply."""
        reference = data.draw(st.sampled_from(sorted(self.api.returns)))
        first = self.api.returns[reference]
        moved = [first._replace(requested=at, status=self.new_status()) for at in places]
        for said in (first, *moved, first):
            self.api.becomes(reference, said)
            self.asks_for(said)

    def new_status(self) -> str:
        return f"S-{next(self.names)}"

    def asks_for(self, said: Said) -> None:
        """Often it is polled at once, so that a life has many changes."""
        serving = [h for h in HOURS if said in self.api.answer(h, self.client_zone)[0].values()]
        before = [h for h in HOURS if serving and h == serving[0] - HOUR]
        if serving:
            self.run_hours(before + serving)

    @precondition(lambda self: self.api.returns)
    @rule(data=st.data(), hour=st.none() | hours, edge=st.none() | st.sampled_from(sorted(EDGES)))
    def the_api_is_otherwise(
        self, data: st.DataObject, hour: Hour | None, edge: str | None
    ) -> None:
        """It serves an unusable record, changes its edge rule, or hides or shows a return."""
        if hour is not None:
            text = f'{{"return_reference_number": null, "n": {next(self.names)}}}'
            self.api.unusable.setdefault(hour, set()).add(text)
        if edge is not None:
            self.api.edge = edge
        else:
            self.api.hidden ^= {data.draw(st.sampled_from(sorted(self.api.returns)))}

    # ---- the invariants

    def comes_to_rest(self) -> None:
        """One run makes unfinished and outdated hours, and polls hours that the lake has lost."""
        self.run_hours(sorted(self.model.polled), missing_only=True)

    def told(self) -> dict[Hour, str]:
        """The state of each hour as the lake reports it."""
        windows = [Window(hour) for hour in HOURS]
        lines = states(self.pipeline().lake, windows, ZoneInfo(self.zone), self.known)
        return {hour: line.state for hour, line in zip(HOURS, lines, strict=True)}

    def findings(self) -> list[Finding]:
        return list(Verifier(self.pipeline().lake, ZoneInfo(self.zone)).everything())

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:  # else the findings are more informative
                self.comes_to_rest()
                self.holds()
        finally:
            rules.VERSION = FIRST_VERSION  # type: ignore[misc]

    def holds(self) -> None:
        """The lake is at rest and equals the model."""
        model, pipeline, zone = self.model, self.pipeline(), ZoneInfo(self.zone)
        # A table of all time is made once a day, which is not part of a life.
        found = [f.text for f in self.findings() if not f.path.startswith(OF_ALL_TIME)]
        assert not found, found
        rows = model.rows()
        assert rows_with_place(self.store, "returns", *COLUMNS, "place") == Counter(
            (reference, *row[:-1], place_of(row[-1])) for reference, row in rows.items()
        )
        assert rows_with_place(self.store, "rejected_returns", "record", "place") == Counter(
            (text, place_of(hour)) for hour in model.polled for text in model.rejected(hour)
        )
        assert counted(self.store, "refund_modes_hourly") == model.counts(lambda _, hour: hour)
        # A day without a polled hour is made with the first of them, and then finds a stray return.
        polled = {day.date for hour in model.polled for day in days_of(Window(hour), zone)}

        def of_polled(counts: tuple[Counter[Any], ...]) -> list[Counter[Any]]:
            return [Counter({k: n for k, n in c.items() if k[0] in polled}) for c in counts]

        assert of_polled(counted(self.store, "refund_modes_daily")) == of_polled(
            model.counts(lambda requested, _: requested.astimezone(zone).date())
        )
        assert self.told() == {hour: self.state(hour) for hour in HOURS}
        places = find_misplaced(pipeline.lake, pipeline.reader)
        assert (places.served, places.unmade) == (len(rows), 0), places
        assert places.is_right, places


@dataclass
class _Dying:
    """Kills the work inside after some steps, if it takes that many."""

    store: Mortal
    steps: int
    seed: int

    def __enter__(self) -> None:
        self.store.dice = random.Random(self.seed)
        self.store.left = self.steps

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self.store.left = None
        return kind is Killed


def _entries(hour: Hour) -> str:
    """How the paths of an hour's entries in the journal begin."""
    return f"_journal/date={hour:%Y-%m-%d}/{hour:%H}."


def model_runs(cases: int, seed: int) -> Result:
    """``cases`` lives of up to `STEPS` steps."""
    return lived(Life, cases, seed)


def lived(kind: type[Life], cases: int, seed: int) -> Result:
    """``cases`` lives of that kind."""
    result = Result(seed)
    kind.runs = kind.steps = 0
    life = hypothesis.seed(seed)(kind)
    try:
        run_state_machine_as_test(
            life,
            settings=hypothesis.settings(
                max_examples=cases,
                stateful_step_count=STEPS,
                database=None,
                deadline=None,
                report_multiple_bugs=False,
                phases=[Phase.generate, Phase.shrink],
                # A life is long, and drawing its parts is slow.
                suppress_health_check=list(HealthCheck),
            ),
        )
    except Exception as fault:  # noqa: BLE001 - with any exception the pipeline died
        result.faults.append(in_words(fault))
    result.tried = kind.runs
    result.notes = f"{kind.steps:,} runs of the pipeline in them"
    return result
