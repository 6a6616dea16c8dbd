"""The whole against a model in dictionaries: hypothesis lives a pipeline's life and compares.

It polls hours in any order, again, in vain and half killed, while the API adds, changes and hides
returns and changes its mind about edges. ``Model`` says what must then be in the lake.
"""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import nullcontext, suppress
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
from lakes import bytes_of, counted, rows_with_place
from obstore.store import MemoryStore
from proof.mending import tables_of
from proof.model import EDGES, WINDOWS, Killed, Model, Mortal, Said, records_of
from proof.result import Result, in_words

from returns_orchestration.clickpost import Poll
from returns_orchestration.errors import ServerFault
from returns_orchestration.flow.days import DaySettler
from returns_orchestration.flow.hours import Failed, River, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.state.hours import states
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window

ZONES = ("UTC", "Asia/Kolkata")
MINUTE = timedelta(minutes=1)
STEPS = 14
COLUMNS = ("return_reference_number", "requested_at", "status", "refund_mode", "pieces")

windows = st.sampled_from(WINDOWS)
moments = st.builds(
    lambda window, offset: window.start + offset,
    windows,
    st.sampled_from([timedelta(0), timedelta(microseconds=1), 30 * MINUTE, 60 * MINUTE]),
)
modes = st.sampled_from(["UPI", "Credits", None])
born = st.tuples(moments, modes, st.booleans(), st.integers(1, 2))


class Life(RuleBasedStateMachine):
    """One pipeline, one API, one model."""

    runs = 0
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        self.store = Mortal(MemoryStore(), "memory://lake")
        self.zone = ZoneInfo(ZONES[0])
        self.edge = "[)"
        self.returns: dict[str, Said] = {}
        self.hidden: set[str] = set()
        self.unusable: dict[Window, set[str]] = {}
        self.waived: set[Window] = set()
        self.reverse = False
        self.clock = itertools.count()
        self.names = itertools.count()
        self.model = Model()

    # ---- the API, which is polled as a client is

    def answer(self, window: Window) -> tuple[dict[str, Said], set[str]]:
        inside = EDGES[self.edge]
        shown = {k: v for k, v in self.returns.items() if k not in self.hidden}
        mine = {k: v for k, v in shown.items() if inside(v[0], window)}
        return mine, self.unusable.get(window, set())

    def poll(self, window: Window) -> Poll:
        if window in self.failing:
            raise ServerFault("ClickPost failed on its own side.")
        returns, unusable = self.answer(window)
        records = [text for k, v in returns.items() for text in records_of(k, v)]
        records += sorted(unusable)
        served = tuple(records[::-1] if self.reverse else records)
        polled_at = WINDOWS[-1].end + next(self.clock) * MINUTE
        return Poll(window, polled_at, served, 1, 1, 0, 0.1, null_result=False, damaged_text=0)

    failing: frozenset[Window] = frozenset()

    # ---- what the pipeline does

    def river(self) -> River:
        now = WINDOWS[-1].end + timedelta(days=3)
        lake = Lake(self.store, lambda: now)
        days = DaySettler(lake, self.zone, wait=lambda _: None)
        reader = RecordReader(ZoneInfo("UTC"))
        return River(lake, reader, lambda _: nullcontext(self), 1, days=days, clock=lambda: now)  # type: ignore[arg-type,return-value]

    def run_hours(self, hours: list[Window], **how: Any) -> None:
        self.steps_done()
        entries = Lake(self.store).entries()
        known = {w for w in hours if how.get("missing_only") and w in entries and entries[w].polls}
        outcomes = list(self.river().run(hours, **how))
        bad = {o.window for o in outcomes if isinstance(o, Failed)}
        assert bad == self.failing & set(hours) - known, outcomes
        assert not [o for o in outcomes if isinstance(o, Stopped)], outcomes
        for window in hours:
            if window not in known and window not in bad:
                self.model.poll(window, *self.answer(window), reverse=self.reverse)

    def steps_done(self) -> None:
        type(self).steps += 1

    @initialize(
        edge=st.sampled_from(sorted(EDGES)),
        given=st.lists(
            st.tuples(moments, modes, st.booleans(), st.integers(1, 2)), min_size=2, max_size=6
        ),
        hours=st.lists(windows, min_size=1, max_size=4, unique=True),
    )
    def is_born(
        self, edge: str, given: list[tuple[datetime, str | None, bool, int]], hours: list[Window]
    ) -> None:
        """A life that began empty would be over before two things met."""
        self.edge = edge
        for one in given:
            self.a_return_appears(*one)
        self.run_hours(hours)

    @rule(hours=st.lists(windows, min_size=1, max_size=4, unique=True), reverse=st.booleans())
    def polls(self, hours: list[Window], reverse: bool) -> None:
        self.reverse = reverse
        self.run_hours(hours)

    @rule(hours=st.lists(windows, min_size=1, unique=True))
    def polls_what_is_missing(self, hours: list[Window]) -> None:
        self.run_hours(hours, missing_only=True)

    @rule(hours=st.lists(windows, min_size=1, unique=True), bad=st.sets(windows, min_size=1))
    def polls_in_vain(self, hours: list[Window], bad: set[Window]) -> None:
        self.failing = frozenset(bad)
        self.run_hours(hours)
        self.failing = frozenset()

    @rule(hours=st.lists(windows, min_size=1, unique=True), writes=st.integers(0, 25))
    def is_killed_and_started_again(self, hours: list[Window], writes: int) -> None:
        self.store.left = writes
        with suppress(Killed):
            list(self.river().run(hours))
        self.store.left = None
        self.run_hours(hours)

    @rule(zone=st.sampled_from(ZONES))
    def changes_the_zone_of_the_report(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)

    @rule(window=windows)
    def waives(self, window: Window) -> None:
        self.river().lake.waive(window, "nobody was there")
        self.waived.add(window)

    @precondition(lambda self: self.model.rejected)
    @rule()
    def rebuilds(self) -> None:
        self.steps_done()
        self.comes_to_rest()
        before = tables_of(bytes_of(self.store))
        Rebuilder(self.river()).rebuild(WINDOWS[0].start, WINDOWS[-1].end)
        after = tables_of(bytes_of(self.store))
        assert {k: v for k, v in after.items() if not k.startswith("lateness")} == {
            k: v for k, v in before.items() if not k.startswith("lateness")
        }

    # ---- what becomes of the API

    @rule(requested=moments, mode=modes, shared=st.booleans(), pieces=st.integers(1, 2))
    def a_return_appears(
        self, requested: datetime, mode: str | None, shared: bool, pieces: int
    ) -> None:
        served = frozenset(range(1, pieces + 1))
        self.returns[f"R-{next(self.names)}"] = (requested, "S-0", mode, shared, served)

    @precondition(lambda self: self.returns)
    @rule(data=st.data(), mode=modes, polled=st.booleans())
    def a_return_changes(self, data: st.DataObject, mode: str | None, polled: bool) -> None:
        reference = data.draw(st.sampled_from(sorted(self.returns)))
        requested, _, _, *pieces = self.returns[reference]
        self.becomes(reference, (requested, self.new_status(), mode, *pieces), polled=polled)

    @precondition(lambda self: self.returns)
    @rule(data=st.data(), requested=moments, mode=modes, polled=st.booleans())
    def a_return_moves(
        self, data: st.DataObject, requested: datetime, mode: str | None, polled: bool
    ) -> None:
        """Its request time is another one, in whichever hour; the old hour serves it no more."""
        reference = data.draw(st.sampled_from(sorted(self.returns)))
        _, _, _, *pieces = self.returns[reference]
        self.becomes(reference, (requested, self.new_status(), mode, *pieces), polled=polled)

    @precondition(lambda self: self.returns)
    @rule(data=st.data(), pieces=st.sets(st.integers(1, 3), min_size=1), polled=st.booleans())
    def its_pieces_come_and_go(self, data: st.DataObject, pieces: set[int], polled: bool) -> None:
        """Pieces that share their items come, and do not go: they would be another courier's."""
        reference = data.draw(st.sampled_from(sorted(self.returns)))
        requested, _, mode, shared, before = self.returns[reference]
        served = before | pieces if shared else frozenset(pieces)
        self.becomes(reference, (requested, self.new_status(), mode, shared, served), polled=polled)

    def new_status(self) -> str:
        return f"S-{next(self.names)}"

    def becomes(self, reference: str, said: Said, *, polled: bool) -> None:
        """Often it is asked for at once, so that a life sees many changes."""
        self.returns[reference] = said
        if polled:
            home = Window.of(said[0])
            self.run_hours([w for w in WINDOWS if w in {home, home.previous}])

    @precondition(lambda self: self.returns)
    @rule(data=st.data())
    def a_return_vanishes_or_comes_back(self, data: st.DataObject) -> None:
        self.hidden ^= {data.draw(st.sampled_from(sorted(self.returns)))}

    @rule(window=windows)
    def a_record_is_unusable(self, window: Window) -> None:
        text = f'{{"return_reference_number": null, "n": {next(self.names)}}}'
        self.unusable[window] = self.unusable.get(window, set()) | {text}

    @rule(edge=st.sampled_from(sorted(EDGES)))
    def the_api_changes_its_edges(self, edge: str) -> None:
        self.edge = edge

    # ---- what must hold

    def comes_to_rest(self) -> None:
        """Days of a zone that was changed are made by whoever looks for unfinished hours."""
        polled = sorted(self.model.rejected)
        outcomes = list(self.river().run(polled, poll=False, missing_only=True))
        assert not [o for o in outcomes if isinstance(o, Failed | Stopped)], outcomes

    def teardown(self) -> None:
        self.comes_to_rest()
        model, lake = self.model, self.river().lake
        found = [finding.text for finding in Verifier(lake, self.zone).everything()]
        assert not found, found
        hour = {reference: model.hour(reference) for reference in model.said}
        assert rows_with_place(self.store, "returns", *COLUMNS, "place") == Counter(
            (reference, *model.row(reference), hour[reference].path) for reference in model.said
        )
        assert rows_with_place(self.store, "rejected_returns", "record", "place") == Counter(
            (text, window.path) for window, texts in model.rejected.items() for text in texts
        )
        assert counted(self.store, "refund_modes_hourly") == model.counts(lambda r: hour[r].start)
        assert counted(self.store, "refund_modes_daily") == model.counts(
            lambda r: model.said[r][0].astimezone(self.zone).date()
        )
        full = {*hour.values(), *(window for window, texts in model.rejected.items() if texts)}
        assert {s.hour: s.state for s in states(lake, WINDOWS)} == {
            window.text: ("complete" if window in full else "empty")
            if window in model.rejected
            else ("waived" if window in self.waived else "missing")
            for window in WINDOWS
        }


def model_runs(cases: int, seed: int) -> Result:
    """``cases`` lives of up to `STEPS` steps."""
    result = Result(seed)
    Life.runs = Life.steps = 0
    life = hypothesis.seed(seed)(Life)
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
                # A life is long, and its pieces are drawn slowly.
                suppress_health_check=list(HealthCheck),
            ),
        )
    except Exception as fault:  # noqa: BLE001 - whatever it is, the pipeline died
        result.faults.append(in_words(fault))
    result.tried = Life.runs
    result.notes = f"{Life.steps:,} runs of the pipeline in them"
    return result
