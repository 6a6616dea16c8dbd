"""Every reply accounted for: each record that the API serves is kept, and counted once.

Bytes go over a real socket, through the client, into a lake on disk. The expected result is known
from the way the replies were drawn; the test does not read them with the product's code.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import hypothesis
import polars as pl
from hypothesis import HealthCheck, Phase, given
from proof.odd_replies import BROKEN, OTHERS, RAW, REQUESTED, WINDOWS, Reply, histories
from proof.result import Result, in_words
from proof.serving import Serving, serving
from support.lakes import files_of
from support.world import BRIEF, HASTY

from returns_orchestration.clickpost import ClickPostClient
from returns_orchestration.errors import ApiError
from returns_orchestration.flow.days import DayBuilder
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.outcomes import Failed, Made, Outcome, Stopped
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.state.status import states
from returns_orchestration.state.verify import Verifier

UTC = ZoneInfo("UTC")
NOW = WINDOWS[-1].end + timedelta(days=1)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a disk would be synced


def accounted_for(cases: int, seed: int) -> Result:
    """At least ``cases`` replies, in histories of up to four polls of three hours."""
    result, seen = Result(seed), Counter[str]()
    logging.getLogger("returns_orchestration").setLevel(logging.ERROR)
    with opened() as api:
        for part in itertools.count():
            _try(min(cases - result.tried, A_PART), seed + part, api, seen, result)
            if result.faults or result.tried >= cases:
                break
    never = {*RAW, *BROKEN, "a record twice", "an edge", "no return"} - seen.keys()
    if cases >= A_PART:
        result.faults += [f"never drawn: {kind}" for kind in sorted(never)]
    result.notes = f"{seen.pop('records'):,} records, {len(seen)} kinds of oddity"
    return result


def _try(histories_of: int, seed: int, api: Api, seen: Counter[str], result: Result) -> None:
    """Some histories; the first that fails is reduced to the smallest one."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=max(1, histories_of // 2),
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        # A history of odd replies is large, and drawing it is slow.
        suppress_health_check=list(HealthCheck),
    )
    @given(histories)
    def holds(history: list[Reply]) -> None:
        result.tried += len(history)
        _note(history, seen)
        _check(history, api)

    try:
        holds()
    except Exception as fault:  # noqa: BLE001 - with any exception the pipeline died
        result.faults.append(f"seed {seed}: {in_words(fault)}")


A_PART = 1_000
"""About the replies tried with one seed; with that many, every kind of oddity must occur."""

TWICE = replace(HASTY, attempts=2)


def _note(history: list[Reply], seen: Counter[str]) -> None:
    for reply in history:
        served = reply.records or ()
        seen["records"] += len(served)
        seen.update(mark for mark, content in RAW.items() if content in reply.body)
        seen.update(kind for kind, body in OTHERS.items() if body == reply.body)
        seen["a record twice"] += len(set(served)) < len(served)
        seen["no return"] += any(record.reference is None for record in served)
        seen["an edge"] += any(record.reference in ("R-0", "R-4") for record in served)
        seen["mark"] += reply.body.startswith(b"\xef\xbb\xbf")
        seen["null"] += b'"result": null, "meta"' in reply.body
        seen["trailing"] += reply.body.endswith(b"garbage")
        seen["cut"] += reply.records is None and reply.body not in OTHERS.values()
    seen += Counter()  # without what was not seen


def _check(history: list[Reply], api: Api) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        lake, other = Path(name) / "a" / "lake", Path(name) / "b" / "lake"
        for number, reply in enumerate(history):
            before = files_of(lake)
            outcomes = _polled(lake, reply, api, number)
            if reply.records is None:
                _is_refused(reply, outcomes)
                assert files_of(lake) == before, "a refused reply changed the lake"
            else:
                _is_accounted_for(reply, outcomes)
        _is_all_there(lake, [reply for reply in history if reply.records is not None])
        before = files_of(lake)
        for number, reply in enumerate(history):
            _polled(other, reply, api, number)
        assert files_of(other) == before, "the same replies give other bytes in another lake"
        if history[-1].records is not None:
            _polled(lake, history[-1], api, len(history) + 1)
            assert files_of(lake) == before, "the same reply once more changes the lake"


@contextmanager
def opened() -> Iterator[Api]:
    """The server, the client and the connection between them."""
    with serving() as server:
        api = Api(server)
        with api.client:
            yield api


def _polled(lake: Path, reply: Reply, api: Api, number: int) -> list[Outcome]:
    api.server.body = reply.body
    api.now = NOW + timedelta(minutes=number)
    return list(api.pipeline(lake).run([reply.window]))


class Api:
    """One client for all pipelines, as making one reads a thousand certificates; its clock."""

    def __init__(self, server: Serving) -> None:
        self.server = server
        self.now = NOW
        self.client = ClickPostClient(
            server.base_url,
            lambda: ("key", "user"),
            zone=UTC,
            max_concurrency=1,
            max_requests_per_second=10_000,
            retry=TWICE,
            timeouts=BRIEF,
            clock=lambda: self.now,
        )

    def pipeline(self, folder: Path) -> HourPipeline:
        """The pipeline into the lake in ``folder``."""
        lake = Lake(open_store(str(folder)), lambda: self.now)
        return HourPipeline(
            lake,
            RecordReader(UTC),
            lambda *_: nullcontext(self.client),
            1,
            days=DayBuilder(lake, UTC),
            clock=lambda: self.now,
        )


def _is_refused(reply: Reply, outcomes: list[Outcome]) -> None:
    """It ends in a project error that names the hour."""
    ended = outcomes[-1]
    assert isinstance(ended, Failed | Stopped), (reply.body[:80], outcomes)
    assert isinstance(ended.error, ApiError), ended.error
    assert reply.window.key in str(ended.error), ended.error


def _is_accounted_for(reply: Reply, outcomes: list[Outcome]) -> None:
    bad = [outcome.error for outcome in outcomes if isinstance(outcome, Failed | Stopped)]
    assert not bad, bad
    (made,) = [o for o in outcomes if isinstance(o, Made) and o.asked]
    accounting = made.built.accounting
    assert accounting is not None
    served = reply.records or ()
    assert accounting.served == len(served)
    assert accounting.rejected == sum(record.reference is None for record in served)
    assert accounting.lost == 0
    assert accounting.served == accounting.kept + accounting.duplicate + accounting.rejected, (
        accounting
    )


def _is_all_there(lake: Path, good: list[Reply]) -> None:
    """Every return once, every unusable record with its text, every reply as received."""
    references, rejected = set(), Counter[str]()
    for window in WINDOWS:
        polls = [reply.records or () for reply in good if reply.window == window]
        raw = _scan(lake, f"raw_returns/{window.path}")
        texts = Counter(raw.get_column("record")) if raw is not None else Counter()
        unusable: Counter[str] = Counter()
        for records in polls:
            references |= {record.reference for record in records} - {None}
            unusable |= Counter(r.text for r in records if r.reference is None)
            assert not Counter(r.text for r in records) - texts, "a record is not as received"
        rejected += unusable
    returns = _scan(lake, "returns")
    found = (
        [] if returns is None else returns.select("return_reference_number", "requested_at").rows()
    )
    assert sorted(found) == sorted((r, REQUESTED[r.strip()]) for r in references if r is not None)
    refused = _scan(lake, "rejected_returns")
    assert Counter(() if refused is None else refused.get_column("record")) == rejected
    opened = Lake(open_store(str(lake)))
    polled = {reply.window for reply in good}
    told = {state.hour: state.state for state in states(opened, WINDOWS, UTC)}
    assert {hour for hour, state in told.items() if state != "missing"} == {w.text for w in polled}
    wrong = [finding.text for finding in Verifier(opened, UTC).everything()]
    assert not wrong, wrong


def _scan(lake: Path, folder: str) -> pl.DataFrame | None:
    files = sorted((lake / folder).rglob("*.parquet"))
    return pl.concat(pl.read_parquet(file) for file in files) if files else None
