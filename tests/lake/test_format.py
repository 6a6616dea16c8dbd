"""A lake of another format is refused before any write or request; an empty one gets a format."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

import pytest
from support.lakes import bytes_of
from support.records import at
from support.rows import HOUR, READER

from returns_orchestration.clickpost import Poll
from returns_orchestration.errors import LakeError, LakeNewer, LakeOlder
from returns_orchestration.flow.days import DayBuilder
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.outcomes import Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake
from returns_orchestration.lake.format import MARKER, RECORDS_BEFORE
from returns_orchestration.lake.journal import FORMAT, JOURNAL
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.lake.trial import TRIAL
from returns_orchestration.stages.landing import land
from returns_orchestration.state.status import states
from returns_orchestration.state.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.window import Window

ZONE = ZoneInfo("Asia/Kolkata")
OF_FORMAT_1 = f"{RECORDS_BEFORE}/date=2026-11-09/hour=11/poll-0001.json"
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(params=["lake", "memory_lake"], ids=["a folder", "an object store"])
def lake(request: pytest.FixtureRequest) -> Lake:
    found: Lake = request.getfixturevalue(request.param)
    return found


@dataclass
class Api:
    """Answers every hour as empty; notes the requested hours."""

    asked: list[Window] = field(default_factory=list)

    def poll(self, window: Window) -> Poll:
        self.asked.append(window)
        return Poll(window, at(100), (), 1, 1, 0, 0.1, False, 0)  # noqa: FBT003

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def pipeline(self, lake: Lake) -> HourPipeline:
        return HourPipeline(
            lake,
            READER,
            lambda *_: self,  # type: ignore[arg-type, return-value]
            1,
            days=DayBuilder(lake, ZONE),
            clock=lambda: at(101),
        )


def run(lake: Lake, api: Api, *, missing_only: bool = False) -> None:
    """A run of HOUR; raises the error that stopped it."""
    for outcome in api.pipeline(lake).run([HOUR], missing_only=missing_only):
        if isinstance(outcome, Stopped):
            raise outcome.error


USES: dict[str, Callable[[Lake, Api], object]] = {
    "a look at the journal": lambda lake, _: lake.names(),
    "status": lambda lake, _: list(states(lake, [HOUR], ZONE)),
    "a run": lambda lake, api: run(lake, api, missing_only=True),
    "a run that polls again": run,
    "verify": lambda lake, _: list(Verifier(lake, ZONE).everything()),
    "verify of a span": lambda lake, _: list(Verifier(lake, ZONE).between(at(0), at(24))),
    "rebuild": lambda lake, api: Rebuilder(api.pipeline(lake)).rebuild(at(0), at(24)),
    "waive": lambda lake, _: lake.waive(HOUR, "closed"),
    "a poll that lands": lambda lake, _: land(lake, lake.names(), READER, HOUR, at(13), ()),
}
each_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


def refused(lake: Lake, use: Callable[[Lake, Api], object], kind: type[LakeError]) -> LakeError:
    """The refusal of ``use``; nothing was written and no request was sent."""
    before, api = bytes_of(lake.store), Api()
    log = list(lake.store.list("_poll_log"))
    with pytest.raises(kind) as raised:
        use(lake, api)
    assert bytes_of(lake.store) == before
    assert list(lake.store.list("_poll_log")) == log
    assert api.asked == []
    return raised.value


@each_use
def test_a_lake_of_an_earlier_release_is_refused_and_not_changed(
    use: Callable[[Lake, Api], object], lake: Lake
) -> None:
    lake.store.put(OF_FORMAT_1, b"{}")
    lake.store.put(f"raw_returns/{HOUR.path}/poll-0001.parquet", b"PAR1")
    text = str(refused(lake, use, LakeOlder))
    assert "was made by an earlier release" in text
    assert "`returns-orchestration upgrade`" in text
    assert lake.store.uri("") in text


@each_use
@pytest.mark.parametrize("beside", [(), (OF_FORMAT_1,)], ids=["alone", "beside an earlier one"])
def test_a_lake_of_a_later_release_is_refused_and_not_changed(
    use: Callable[[Lake, Api], object], beside: tuple[str, ...], lake: Lake
) -> None:
    for path in beside:
        lake.store.put(path, b"{}")
    lake.store.put(f"{JOURNAL}/format-{FORMAT + 1}.json", b'{"format": 3}\n')
    error = refused(lake, use, LakeNewer)
    assert isinstance(error, LakeNewer)
    assert error.found == "format-3.json"
    text = str(error)
    assert "made by a later release (format-3.json)" in text
    assert "Install the newest release" in text


@each_use
def test_a_real_lake_of_an_earlier_release_is_refused(
    use: Callable[[Lake, Api], object], tmp_path: Path
) -> None:
    with tarfile.open(DATA / "lake-format-1.tar.xz") as archive:
        inside = [member for member in archive if member.name.startswith("lake/")]
        archive.extractall(tmp_path, inside, filter="data")
    refused(Lake(FolderStore(tmp_path / "lake")), use, LakeOlder)


def test_a_lake_with_an_unfinished_upgrade_counts_as_an_earlier_one(lake: Lake) -> None:
    """Its entries exist, and its marker does not: an upgrade was killed."""
    lake.store.put(OF_FORMAT_1, b"{}")
    lake.store.put(f"{JOURNAL}/date=2026-11-09/11.waived.json", b"{}")
    refused(lake, USES["status"], LakeOlder)
    lake.store.put(MARKER, b'{"format": 2}\n')
    assert [line.state for line in states(lake, [HOUR], ZONE)] == ["waived"]


def test_reading_an_empty_lake_leaves_no_trace(lake: Lake) -> None:
    for use in ("a look at the journal", "status", "verify", "verify of a span"):
        USES[use](lake, Api())
    assert [line.state for line in states(lake, [HOUR], ZONE)] == ["missing"]
    assert not list(lake.store.list(""))


@pytest.mark.parametrize("use", ["a run", "a poll that lands", "waive"])
def test_an_empty_lake_gets_its_format_with_the_first_kept_poll(use: str, lake: Lake) -> None:
    USES[use](lake, Api())
    assert lake.store.get(MARKER) == b'{"format": %d}\n' % FORMAT
    assert lake.store.children(JOURNAL)[1][-1:] == [f"format-{FORMAT}.json"]
    whole = bytes_of(lake.store)
    Lake(lake.store).format.ensure(begin=True)
    assert bytes_of(lake.store) == whole
    assert not list(Verifier(lake, ZONE).everything())


def test_the_format_is_written_before_the_first_poll(lake: Lake) -> None:
    """After a kill in between, an empty lake has a format; no lake has a poll without a format."""
    put: list[str] = []
    create = lake.store.create

    def noting(path: str, content: bytes) -> bool:
        put.append(path)
        return create(path, content)

    lake.store.create = noting  # type: ignore[method-assign]
    USES["a poll that lands"](lake, Api())
    kept = [path for path in put if TRIAL not in path]
    assert kept[:2] == [MARKER, lake.polls.path(HOUR, 1)]


def test_trials_of_doctor_give_an_empty_lake_no_format(lake: Lake) -> None:
    lake.check_writable()
    assert not list(lake.store.list(""))


def test_files_of_doctor_in_an_empty_lake_are_no_format(lake: Lake) -> None:
    lake.store.put(f"{JOURNAL}/.writable-20261109T200000-1a2b3c4d-put", b"x")
    lake.store.put(f"{JOURNAL}/ever.made-{'0' * 12}-{'0' * 8}-{'0' * 8}-0.json", b"x")
    assert lake.names().hours() == []


class RacedStore(FolderStore):
    """Another process creates the lake directly after this one found no marker."""

    def get(self, path: str) -> bytes | None:
        found = super().get(path)
        if path == MARKER and found is None:
            self.create(MARKER, b"{}\n")
        return found


def test_a_lake_that_another_process_is_creating_is_not_a_newer_one(tmp_path: Path) -> None:
    lake = Lake(RacedStore(tmp_path), lambda: at(20))
    lake.format.ensure(begin=True)
    assert lake.names().hours() == []
