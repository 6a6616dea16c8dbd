"""The table of states, line by line, in real lakes: the state, its requests, its repair."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from support.lakes import OF_ALL_TIME, bytes_of, placed, references
from support.records import Record, at, on_the_wire, returned

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.flow.outcomes import Failed, Made, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake, journal
from returns_orchestration.lake.entry_kinds import Rezoned, made_path
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.store import FolderStore, Listed
from returns_orchestration.stages.rules import Rules
from returns_orchestration.state.places import find_misplaced
from returns_orchestration.state.status import states
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window, windows_between

INDIA = ZoneInfo("Asia/Kolkata")
NINE, TEN, ELEVEN, TWELVE, NEVER = windows_between(at(9), at(14))
POLLED = [NINE, TEN, ELEVEN]
EMPTY = ELEVEN

Known = dict[Window, str]


def reply(window: Window) -> list[Record]:
    return [] if window == EMPTY else [returned(f"R-{window.start:%H}", window.start)]


def more(window: Window) -> list[Record]:
    late = returned(f"L-{window.start:%H}", window.start.replace(minute=30))
    return [*reply(window), late]


@dataclass
class Scene:
    """A lake of three hours, polled once and made."""

    lake: Lake
    api_of: Any
    monkeypatch: pytest.MonkeyPatch

    def poll(self, *windows: Window, serving: Any = reply, **options: Any) -> None:
        always_at = options.pop("always_at", at(30))
        outcomes = self.api_of(serving, always_at=always_at).run(self.lake, windows, **options)
        assert not [o for o in outcomes if isinstance(o, Failed | Stopped)]

    def alter(self, path: str) -> bytes:
        """Change one byte of a file, as a disk does; gives the file as it was."""
        content = self.lake.store.get(path)
        assert content is not None
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 1
        self.lake.store.put(path, bytes(changed))
        self.lake.drop_cache()
        return content

    @property
    def raw(self) -> str:
        return self.lake.polls.path(TEN, 1)

    @property
    def table(self) -> str:
        return self.lake.path(tables.RETURNS, TEN)


Plant = Callable[[Scene], "Known | None"]


def never_polled(_: Scene) -> None:
    pass


def waived(scene: Scene) -> None:
    scene.lake.waive(NEVER, "no shop was open")


def waived_and_polled_too_early(scene: Scene) -> None:
    polled_too_early(scene)
    scene.lake.waive(TWELVE, "no shop was open")


def waived_and_polled(scene: Scene) -> None:
    scene.lake.waive(TEN, "no shop was open")


def polled_too_early(scene: Scene) -> None:
    scene.poll(TWELVE, always_at=at(12, 59, 59))


def restored_from_an_older_copy(scene: Scene) -> Known:
    """Dagster's log holds more polls than the lake that was copied."""
    copy = bytes_of(scene.lake.store)
    scene.poll(TEN, serving=more, always_at=at(40))
    newest = scene.lake.names().hour(TEN).polls[-1]
    scene.lake.store.delete_many(list(bytes_of(scene.lake.store)))
    for path, content in copy.items():
        scene.lake.store.put(path, content or b"")
    scene.lake.drop_cache()
    return {TEN: newest.sha256}


def known_to_both(scene: Scene) -> Known:
    return {TEN: scene.lake.names().hour(TEN).polls[-1].sha256}


def table_of_another_size(scene: Scene) -> None:
    scene.lake.store.put(scene.table, b"torn")


def table_that_is_gone(scene: Scene) -> None:
    scene.lake.store.delete(scene.table)


def table_that_a_reader_found(scene: Scene) -> None:
    scene.alter(scene.table)
    with pytest.raises(LakeDamaged):
        scene.lake.read(tables.RETURNS, TEN, scene.lake.names())


def table_that_verify_found(scene: Scene) -> None:
    scene.alter(scene.table)
    assert [found.path for found in Verifier(scene.lake, INDIA).everything()] == [scene.table]


def entry_of_tables_that_a_reader_found(scene: Scene) -> None:
    scene.alter(made_path(TEN, scene.lake.names().hour(TEN).made[0]))
    with pytest.raises(LakeDamaged):
        scene.lake.read(tables.RETURNS, TEN, scene.lake.names())


def poll_of_another_size(scene: Scene) -> None:
    scene.lake.store.put(scene.raw, b"torn")


def poll_that_is_gone(scene: Scene) -> None:
    scene.lake.store.delete(scene.raw)


def poll_that_a_reader_found(scene: Scene) -> None:
    scene.alter(scene.raw)
    with pytest.raises(LakeDamaged):
        scene.lake.polls.served(scene.lake.names().hour(TEN).polls[0])


def poll_that_was_lost(scene: Scene) -> None:
    scene.poll(TEN, serving=more, always_at=at(40))
    assert scene.lake.polls.quarantine(scene.lake.names(), TEN, 1)


def only_poll_that_was_lost(scene: Scene) -> None:
    assert scene.lake.polls.quarantine(scene.lake.names(), TEN, 1)


def poll_without_entry(scene: Scene) -> None:
    served = tuple(map(on_the_wire, more(TEN)))
    assert scene.lake.polls.create(scene.lake.names(), TEN, 2, at(40), served, "UTC")


def first_poll_without_entry(scene: Scene) -> None:
    served = tuple(map(on_the_wire, more(TWELVE)))
    assert scene.lake.polls.create(scene.lake.names(), TWELVE, 1, at(40), served, "UTC")


def entry_without_tables(scene: Scene) -> None:
    scene.poll(TWELVE, make=False)


def newer_entry_without_tables(scene: Scene) -> None:
    scene.poll(TEN, serving=more, always_at=at(40), make=False)


def day_not_made(scene: Scene) -> None:
    names = scene.lake.names()
    (path,) = (p for p in bytes_of(scene.lake.store, "_journal") if "/day.made-" in p)
    scene.lake.entries.remove(names, [path])


def two_made_entries(scene: Scene) -> None:
    names = scene.lake.names()
    made = scene.lake.made(TEN, names)
    assert made is not None
    scene.lake.entries.put(names, msgspec.structs.replace(made, inputs="0" * 12))


def made_by_other_rules(scene: Scene, **of_then: str) -> None:
    """Make all tables again, as an earlier release made them."""
    earlier = Rules.of_today()._replace(**of_then)
    with scene.monkeypatch.context() as then:
        then.setattr(Rules, "of_today", classmethod(lambda _: earlier))
        scene.poll(*POLLED, poll=False)


def other_rules_of_hours(scene: Scene) -> None:
    made_by_other_rules(scene, hours="0" * 8)


def other_rules_of_days(scene: Scene) -> None:
    scene.lake.store.delete_many(list(bytes_of(scene.lake.store, "_journal/date=2026-11-09")))
    scene.lake.store.delete_many(list(bytes_of(scene.lake.store, "raw_returns")))
    earlier = Rules.of_today()._replace(days="0" * 8)
    with scene.monkeypatch.context() as then:
        then.setattr(Rules, "of_today", classmethod(lambda _: earlier))
        scene.poll(*POLLED)


def all_is_well(_: Scene) -> None:
    pass


@dataclass(frozen=True)
class Line:
    """``of`` is in ``state``; ``asks`` is whether a run of missing hours polls it.

    That may be true where ``needs_poll`` is not: a bad file of a poll is found only when it is
    read. ``beside`` are the states of the others.
    """

    plant: Plant
    state: str
    of: Window = TEN
    needs_poll: bool = False
    asks: bool = False
    after: str = "complete"


LINES = [
    Line(waived, "waived", of=NEVER, after="waived"),
    Line(waived_and_polled_too_early, "waived", of=TWELVE, after="waived"),
    Line(waived_and_polled, "complete"),
    Line(never_polled, "missing", of=NEVER, needs_poll=True, asks=True),
    Line(polled_too_early, "missing", of=TWELVE, needs_poll=True, asks=True),
    Line(restored_from_an_older_copy, "missing", needs_poll=True, asks=True),
    Line(only_poll_that_was_lost, "missing", needs_poll=True, asks=True),
    Line(poll_that_was_lost, "damaged", needs_poll=True, asks=True),
    Line(poll_of_another_size, "damaged", asks=True),
    Line(poll_that_is_gone, "damaged", asks=True),
    Line(poll_that_a_reader_found, "damaged", asks=True),
    Line(table_of_another_size, "damaged"),
    Line(table_that_is_gone, "damaged"),
    Line(table_that_a_reader_found, "damaged"),
    Line(table_that_verify_found, "damaged"),
    Line(entry_of_tables_that_a_reader_found, "damaged"),
    Line(poll_without_entry, "unfinished"),
    Line(first_poll_without_entry, "unfinished", of=TWELVE),
    Line(entry_without_tables, "unfinished", of=TWELVE),
    Line(newer_entry_without_tables, "unfinished"),
    Line(day_not_made, "unfinished"),
    Line(day_not_made, "unfinished", of=EMPTY, after="empty"),
    Line(two_made_entries, "unfinished"),
    Line(other_rules_of_hours, "outdated"),
    Line(other_rules_of_days, "outdated"),
    Line(other_rules_of_days, "outdated", of=EMPTY, after="empty"),
    Line(all_is_well, "empty", of=EMPTY, after="empty"),
    Line(all_is_well, "complete"),
    Line(known_to_both, "complete"),
]


@pytest.fixture
def scene(lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch) -> Scene:
    found = Scene(lake, api_of, monkeypatch)
    found.poll(*POLLED)
    return found


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.plant.__name__}-{line.of.text}")
def test_each_state_is_reported_and_repaired_by_one_run_of_missing_hours(
    line: Line, scene: Scene
) -> None:
    lake, windows = scene.lake, sorted({*POLLED, line.of})
    known = line.plant(scene)
    api = scene.api_of(more, always_at=at(50))
    verdict = api.pipeline(lake).states(windows, known).of(line.of)
    assert (verdict.state, verdict.needs_poll) == (line.state, line.needs_poll)
    assert verdict.why or line.state not in {"damaged", "unfinished"}
    bad = [content for path, content in bytes_of(lake.store).items() if path == scene.raw]
    outcomes = api.run(lake, windows, missing_only=True, known=known)
    assert api.asked == ([line.of] if line.asks else [])
    assert not [o for o in outcomes if isinstance(o, Failed | Stopped)]

    known = {w: polls[-1].sha256 for w in known or () if (polls := lake.names().hour(w).polls)}
    expected = {NINE: "complete", TEN: "complete", EMPTY: "empty", line.of: line.after}
    assert api.states(lake, windows, known) == [expected[w] for w in windows]
    assert not [found for found in Verifier(lake, INDIA).everything() if found.is_fault]
    places = find_misplaced(lake, api.pipeline(lake).reader)
    assert (places.nowhere, places.repeated, places.unmade) == (0, 0, 0)
    assert places.served == len(set(references(lake)))
    # Nothing is deleted: a bad poll is in quarantine.
    if line.state == "damaged" and line.asks and not line.needs_poll:
        quarantined = list(bytes_of(lake.store, "_quarantine/raw_returns").values())
        assert quarantined == bad
        assert lake.store.get(scene.raw) is None
    # Once is enough: a second run sends no request and makes no table.
    before = bytes_of(lake.store)
    assert api.run(lake, windows, missing_only=True, known=known) == []
    assert bytes_of(lake.store) == before


def test_only_incomplete_hours_are_made_again(scene: Scene) -> None:
    poll_without_entry(scene)
    api = scene.api_of(reply)
    outcomes = api.run(scene.lake, POLLED, missing_only=True)
    assert [o.window for o in outcomes if isinstance(o, Made)] == [TEN]
    assert "L-10" in references(scene.lake)


@pytest.mark.parametrize("mended_by", ["a run", "rebuild"])
@pytest.mark.parametrize("which", ["raw", "table"])
def test_a_restored_file_removes_the_note_of_its_damage(
    which: str, mended_by: str, scene: Scene
) -> None:
    """An administrator has restored it from a copy."""
    lake = scene.lake
    before = bytes_of(lake.store)
    path = getattr(scene, which)
    (poll_that_a_reader_found if which == "raw" else table_that_a_reader_found)(scene)
    api = scene.api_of(reply)
    assert api.states(lake, [TEN]) == ["damaged"]
    lake.store.put(path, before[path] or b"")
    assert api.states(lake, [TEN]) == ["damaged"]  # its content is checked when it is read
    if mended_by == "a run":
        api.run(lake, [TEN], missing_only=True)
    else:
        rebuilt = Rebuilder(api.pipeline(lake)).rebuild(TEN.start, TEN.end)
        assert rebuilt.is_whole
        assert rebuilt.quarantined == []
    assert api.asked == []
    assert api.states(lake, POLLED) == ["complete", "complete", "empty"]
    after = {p: c for p, c in bytes_of(lake.store).items() if "ever" not in p}
    assert {p: c for p, c in after.items() if not p.startswith(OF_ALL_TIME)} == before


def test_a_bad_poll_is_quarantined_and_never_deleted_by_a_rebuild(scene: Scene) -> None:
    scene.alter(scene.raw)
    bad = scene.lake.store.get(scene.raw)
    rebuilt = Rebuilder(scene.api_of(reply).pipeline(scene.lake)).rebuild(TEN.start, TEN.end)
    assert rebuilt.poll_again == [TEN]
    assert list(bytes_of(scene.lake.store, "_quarantine/raw_returns").values()) == [bad]


class ListedInBetween(FolderStore):
    """Another process publishes between the listing of the journal and that of the files."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.then: Callable[[], None] | None = None

    def between(self, prefix: str, start: str, stop: str) -> Iterator[Listed]:
        yield from super().between(prefix, start, stop)
        if prefix == JOURNAL and self.then is not None:
            then, self.then = self.then, None
            then()


def test_an_hour_published_during_status_is_not_damaged(folder: Path, api_of: Any) -> None:
    store = ListedInBetween(folder)
    lake = Lake(store, lambda: at(20))
    api_of(reply, always_at=at(30)).run(lake, POLLED)
    writer = Lake(FolderStore(folder), lambda: at(20))
    store.then = lambda: api_of(more, always_at=at(40)).run(writer, [TEN])  # type: ignore[func-returns-value]
    (first,) = states(lake, [TEN], INDIA)
    assert store.then is None
    assert (first.state, first.returns) == ("complete", 2)


@dataclass
class OfAgain:
    """Two windows that contradict each other, and the entry that records the later one."""

    lake: Lake
    api: Any

    @property
    def path(self) -> str:
        (name,) = self.lake.names().hour(TEN).again
        return f"{journal.date_folder(TEN.start.date())}/{name}"

    @property
    def status(self) -> str:
        frame = placed(self.lake.store, tables.RETURNS.name)
        assert frame is not None
        (status,) = frame.get_column("status")
        return str(status)


@pytest.fixture
def of_again(lake: Lake, api_of: Any) -> OfAgain:
    api = api_of(lambda w: [returned("M", TEN.start, status="A" if w == TEN else "B")])
    for window in (TEN, ELEVEN, TEN):
        api.run(lake, [window])
    return OfAgain(lake, api)


@pytest.mark.parametrize("how", ["deleted", "altered"])
@pytest.mark.parametrize("mended_by", ["a run", "rebuild"])
def test_an_hour_is_polled_again_when_an_entry_of_a_repeated_reply_is_lost(
    how: str, mended_by: str, of_again: OfAgain
) -> None:
    lake, api, path = of_again.lake, of_again.api, of_again.path
    assert of_again.status == "A"
    content = lake.store.get(path) or b""
    if how == "deleted":
        lake.store.delete(path)
    else:
        lake.store.put(path, content.replace(b"M", b"N"))
    found = [f for f in Verifier(lake, INDIA).everything() if f.path == path]
    assert [(f.kind, f.remedy) for f in found] == [
        ("missing" if how == "deleted" else "altered", "poll")
    ]
    lake.drop_cache()
    if mended_by == "a run":
        api.run(lake, [TEN, ELEVEN], poll=False)
    else:
        assert Rebuilder(api.pipeline(lake)).rebuild(TEN.start, ELEVEN.end).poll_again == [TEN]
    assert api.states(lake, [TEN]) == ["damaged"]
    api.run(lake, [TEN, ELEVEN], missing_only=True)
    assert of_again.status == "A"
    assert api.states(lake, [TEN]) == ["complete"]
    assert list(Verifier(lake, INDIA).everything()) == []


def test_a_deleted_correction_of_a_zone_is_restored(lake: Lake, api_of: Any) -> None:
    record = returned("R-1", at(0)) | {"Return Request Timestamp": "2026-11-09 15:45:00"}
    api = api_of(lambda _: [record], always_at=at(30))
    api.run(lake, [TEN])
    lake.polls.rezone(lake.names(), TEN, INDIA.key)
    api.run(lake, [TEN], missing_only=True)
    before = bytes_of(lake.store)
    (path,) = (path for path in before if ".rezoned-" in path)
    lake.store.delete(path)
    assert [(f.path, f.kind, f.remedy) for f in Verifier(lake, INDIA).everything()] == [
        (path, "missing", "entry")
    ]
    api.run(lake, [TEN], missing_only=True)
    assert bytes_of(lake.store) == before


def test_a_zone_unknown_to_this_machine_fails_the_hour_and_is_named(
    lake: Lake, api_of: Any
) -> None:
    api = api_of(reply, always_at=at(30), sent_under="UTC")
    api.run(lake, [TEN])
    lake.entries.put(
        lake.names(), Rezoned(period=TEN.key, number=1, change=1, zone="Asia/Atlantis")
    )
    (failed,) = [o for o in api.run(lake, [TEN], poll=False) if isinstance(o, Failed)]
    assert "Asia/Atlantis" in str(failed.error)
    assert "tzdata" in str(failed.error)
    assert lake.polls.rezone(lake.names(), TEN, "UTC") == 1
    api.run(lake, [TEN], poll=False)
    assert api.states(lake, [TEN]) == ["complete"]
