"""The benchmarks run, at a size without meaningful figures; no timing is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as benchmarks
from benchmarks import figures, looks, workers
from benchmarks.figures import YEAR_HOURS, Figure
from benchmarks.history import make_history
from benchmarks.peers import comparison
from benchmarks.site import Ended, Memory, Site
from benchmarks.workers import Took
from returns_orchestration.cli.status import read_states
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.state.hours import States, Verdict
from returns_orchestration.state.status import look_at
from returns_orchestration.window import days_of


def test_every_part_gives_its_lines(tmp_path: Path) -> None:
    out, work = tmp_path / "table.md", tmp_path / "work"
    small = ["--hours", "12", "--single-runs", "1"]
    done = CliRunner().invoke(benchmarks.app, [*small, "--folder", str(work), "--out", str(out)])
    assert done.exit_code == 0, done.output
    table = out.read_text()
    assert table in done.output
    for what in (
        "| `backfill` of 12 hours",
        "| a run and a process for each hour",
        "peak of the last two thirds",
        "| `backfill --jobs 1` of 4 hours without latency and start-up",
        "| `backfill --jobs 2` of 4 hours without latency and start-up",
        "| `backfill` of one hour, from the start of its process to its last event",
        "| `backfill` of 24 hours of 2 returns, start-up left out",
        "| bare loop: httpx, msgspec, polars, fsync |",
        "| plain Dagster, one run over the range |",
        "| plain Dagster, a run an hour |",
        "| states of 60 hours",
        "| `missing_hours`, first tick, 60 hours of 5 polls",
        "| `late_returns`, all read, 60 hours",
        "| schedule `live_hour`",
        "| size of `return_reasons_daily`",
        "| `return_reasons_hourly` by reason and month, DuckDB",
        "| webhooks received over 64 connections",
        "| 99 of 100 webhooks at 200 a second are answered within",
    ):
        assert what in table
    assert ("| dlt, one `pipeline.run` |" in table) != ("dlt is left out" in done.output)
    # At this size there is no target for time and memory; alerts are counted at their own size.
    timed = [line for line in table.splitlines() if not line.startswith("| alerts: ")]
    assert not [line for line in timed if ": met |" in line or "not met" in line]
    assert not list(work.iterdir())


def test_the_table_of_peers_takes_the_place_of_the_one_in_the_documents() -> None:
    page = comparison.PAGE.read_text()
    line = comparison.Measured(comparison.PRODUCT, 100, 5.0, 4.0, 900)
    peer = comparison.Measured(comparison.BARE, 50, 1.0, 0.5, 450)
    table = comparison.table([line, peer])
    assert f"| {peer.name} | 20 | 10 | 450 of 50 hours | 2.22 | 1.11 | 0.4 | Dagster" in table
    changed = comparison.write_into(page, table)
    assert table in changed
    assert comparison.write_into(changed, comparison.table([line])).count("bare loop:") == 0
    assert changed.splitlines()[:3] == page.splitlines()[:3]
    assert changed.splitlines()[-3:] == page.splitlines()[-3:]


@pytest.mark.skipif(bool(workers.lacks()), reason=workers.lacks())
@pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources` is deprecated")
def test_a_number_of_workers_is_measured(tmp_path: Path) -> None:
    took = workers._timed(tmp_path, number=2, hours=workers.RUNS, pages=1)
    assert took.seconds > workers.RUNS * workers.LATENCY / 2
    assert took.workers > 0
    assert 0 < took.busy <= 1.1


def test_two_workers_are_to_be_faster_than_one() -> None:
    took = [Took(seconds=10.0, workers=9.0, busy=0.5)]
    met = workers._figure(2, workers.HOURS, 1, {1: 16.0, 2: 10.0}, took)
    assert (met.ratio, met.met) == (1.6, True)
    assert not workers._figure(2, workers.HOURS, 1, {1: 15.9, 2: 10.0}, took).met
    assert workers._figure(2, workers.HOURS, 2, {1: 15.9, 2: 10.0}, took).met is None


@pytest.mark.parametrize("polls", [1, 5])
def test_a_generated_history_is_as_complete_as_a_polled_one(tmp_path: Path, polls: int) -> None:
    variables = {"RETURNS_START": looks.START, "CLICKPOST_KEY": "-", "CLICKPOST_USER_NAME": "-"}
    site = Site(tmp_path / "site", variables)
    windows = make_history(site, 50, polls)
    with site.entered():
        found = read_states(site.settings, windows)
    assert {state.state for state in found} == {"complete"}
    assert {state.polls for state in found} == {polls}
    lake, zone = Lake(open_store(str(site.lake))), site.settings.report_time_zone
    states = States(lake, look_at(lake, windows), zone)
    days = {day for window in windows for day in days_of(window, zone)}
    assert not [day for day in days if states.is_due(day)]
    assert {states.of(window) for window in windows} == {Verdict("complete")}


def test_a_failed_process_gives_no_figure(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    ended = site.product("status", "nonsense", "nonsense")
    with pytest.raises(RuntimeError, match="is not an hour"):
        ended.or_die()
    assert Ended(1.0, 0.5, 0, "").or_die().seconds == 1.0


def test_a_verdict_is_given_only_where_a_target_exists() -> None:
    met = Figure("a", "1 s", "b: 2 s", 0.5, "< 2 s", met=True)
    missed = Figure("a", "3 s", asked="< 2 s", met=False)
    not_judged = Figure("a", "3 s", asked="< 2 s")
    assert met.cells == ("a", "1 s", "b: 2 s", "0.5", "< 2 s: met")
    assert missed.cells[-1] == "< 2 s: **not met**"
    assert not_judged.cells[-1] == ""
    assert figures.table([met]).splitlines()[-1] == "| a | 1 s | b: 2 s | 0.5 | < 2 s: met |"
    assert set(looks.DERIVATION_ASKED) == {YEAR_HOURS, 5 * YEAR_HOURS}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0123, "12.3 ms"), (4.567, "4.57 s"), (599, "599 s"), (900, "15 min"), (36_000, "10 h")],
)
def test_seconds_are_shown_in_a_suitable_unit(seconds: float, words: str) -> None:
    assert figures.in_words(seconds) == words


def test_memory_is_the_most_held_between_two_marks(tmp_path: Path) -> None:
    memory = Memory()
    site = Site(tmp_path / "site")
    site.product("--help", at_look=memory.look)
    memory.mark()
    memory.mark()
    held, nothing = memory.peaks
    assert held > 1
    assert nothing == 0
