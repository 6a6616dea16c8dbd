"""The facts in the names of the journal, and that updated names equal freshly listed ones."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore
from support.counting_store import CountingStore
from support.records import at

from returns_orchestration import tables
from returns_orchestration.lake import Lake, Names
from returns_orchestration.lake.entry_kinds import (
    INPUTS,
    Again,
    Blanked,
    Damaged,
    Entry,
    Erased,
    Events,
    From,
    Listened,
    Lost,
    Made,
    Matched,
    Placed,
    Poll,
    Received,
    Rezoned,
    To,
    Waived,
    Webhooks,
    encode,
)
from returns_orchestration.lake.entry_names import name_of_hour, read_name
from returns_orchestration.lake.names import HourNames, inputs_of, sources_of
from returns_orchestration.lake.store import ObjectStore, Store
from returns_orchestration.state.verify import Verifier
from returns_orchestration.tables import UTC_DAYS
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

HOUR = Window(at(11))
FAR = Window(at(15))
TODAY, TOMORROW = date(2026, 11, 9), date(2026, 11, 10)


def a_poll(window: Window = HOUR, number: int = 1, **more: Any) -> Poll:
    fields = {
        "polled_at": window.end + timedelta(minutes=10 * number),
        "noted_at": window.end + timedelta(minutes=10 * number, seconds=1),
        "rows": 2,
        "size": 400,
        "sha256": f"{number:016x}",
        "zone": "UTC",
    }
    return Poll(period=window.key, number=number, **(fields | more))


def made_of(
    window: Window | date = HOUR,
    inputs: str = "0a" * 6,
    returns: int = 0,
    kind: type[Made] = Made,
) -> Made:
    period = window.key if isinstance(window, Window) else window.isoformat()
    facts = {"returns": returns}
    fields = {"made_of": [], "files": {}, "facts": facts, "written_at": at(20)}
    return kind(period=period, inputs=inputs, rules="0b" * 4, **fields)  # type: ignore[arg-type]


def one_of_each(window: Window = HOUR, other: Window = FAR) -> dict[str, Entry]:
    period = window.key
    return {
        "poll": a_poll(window, 7),
        "lost": Lost(period=period, number=5, sha256="0c" * 8, next_number=6),
        "from": From(period=period, hour=name_of_hour(other)),
        "to": To(period=period, hour=name_of_hour(other)),
        "again": Again(period=period, at=at(30), references=["R-1"]),
        "rezoned": Rezoned(period=period, number=1, change=1, zone="Asia/Kolkata"),
        "erased": Erased(period=period, number=7, change=1, what="some", size=300, sha256="0e" * 8),
        "received": Received(
            period=period, instance="0f" * 4, first=1, rows=2, size=300, sha256="0e" * 8
        ),
        "listened": Listened(period=period, instance="0f" * 4, begin=0, until=3600),
        "waived": Waived(period=period, why="closed", at=at(20)),
        "damaged": Damaged(period=period, file="returns/x"),
        "webhooks": Webhooks(period=period, hour=name_of_hour(other)),
        "placed": Placed(
            period=period,
            hour=name_of_hour(other),
            newest=at(12),
            zone="UTC",
            deliveries={"0f" * 4: [1, 2]},
        ),
        "blanked": Blanked(period=period, files="0a" * 6),
        "made": made_of(window),
        "events": made_of(window, kind=Events),
        "matched": made_of(window, kind=Matched),
    }


def store_of(*entries: Entry) -> Store:
    store = ObjectStore(MemoryStore(), "memory://lake")
    for entry in entries:
        store.put(entry.path, encode(entry))
    return store


def names_of(*entries: Entry) -> Names:
    return Names(store_of(*entries))


def hour_of(*entries: Entry, window: Window = HOUR) -> HourNames:
    return names_of(*entries).hour(window)


# ---- each kind


def test_names_of_an_hour_without_entries_are_empty() -> None:
    names = names_of()
    assert names.hour(HOUR) == HourNames()
    assert (names.hours(), names.day(TODAY), names.of(TODAY)) == ([], [], [])


def test_polls_are_read_from_the_names_in_order() -> None:
    polls = [a_poll(number=number) for number in (1, 2, 10, 12345)]
    hour = hour_of(*reversed(polls))
    assert hour.polls == polls
    assert (hour.next_number, hour.has_lost_a_poll) == (12346, False)


def test_a_quarantined_poll_is_lost_even_if_its_entry_still_exists() -> None:
    lost = Lost(period=HOUR.key, number=2, sha256="0c" * 8, next_number=3)
    hour = hour_of(a_poll(number=1), a_poll(number=2), lost)
    assert [poll.number for poll in hour.polls] == [1]
    assert hour.lost == [(2, "0c" * 8, 3)]
    assert (hour.next_number, hour.has_lost_a_poll) == (3, True)
    hour = hour_of(a_poll(number=1), lost, a_poll(number=3))
    assert (hour.next_number, hour.has_lost_a_poll) == (4, False)


def test_a_lost_number_is_never_reused_however_many_are_lost() -> None:
    lost = [
        Lost(period=HOUR.key, number=number, sha256="0c" * 8, next_number=following)
        for number, following in ((1, 2), (2, 3), (3, 9))
    ]
    hour = hour_of(*lost)
    assert (hour.next_number, hour.has_lost_a_poll, hour.polls) == (9, True, [])
    assert hour_of(*lost, a_poll(number=8)).has_lost_a_poll
    assert not hour_of(*lost, a_poll(number=9)).has_lost_a_poll


def test_marks_are_read_on_both_sides() -> None:
    marks = one_of_each()
    hour = hour_of(marks["from"], marks["to"])
    assert (hour.came_from, hour.went_to) == ({FAR}, {FAR})
    assert hour_of(marks["from"], marks["to"], window=FAR) == HourNames()


def test_the_zone_of_a_poll_is_its_own_or_that_of_its_last_correction() -> None:
    first, second = a_poll(number=1), a_poll(number=2, zone="America/Port-au-Prince")
    changes = [
        Rezoned(period=HOUR.key, number=1, change=change, zone=zone)
        for change, zone in ((1, "Asia/Kolkata"), (2, "UTC"), (10, "Etc/GMT+5"))
    ]
    hour = hour_of(first, second, *changes)
    assert hour.zone_of(first) == "Etc/GMT+5"
    assert hour.zone_of(second) == "America/Port-au-Prince"
    assert hour_of(first, second, *changes[:2]).zone_of(first) == "UTC"


def test_entries_of_each_other_kind_are_read() -> None:
    each = one_of_each()
    hour = hour_of(each["waived"], each["damaged"], each["again"], made_of(returns=3))
    assert hour.waived
    assert hour.damaged == [each["damaged"].path.rpartition("/")[2]]
    assert hour.again == [each["again"].path.rpartition("/")[2]]
    assert [made.returns for made in hour.made] == [3]


def test_an_hour_was_last_polled_at_the_earlier_of_two_clocks() -> None:
    ahead = a_poll(number=1, polled_at=at(40), noted_at=at(13))
    other = a_poll(number=2, polled_at=at(14), noted_at=at(50))
    assert hour_of().last_polled() is None
    assert hour_of(ahead).last_polled() == at(13)
    assert hour_of(ahead, other).last_polled() == at(14)


def test_a_day_is_beside_its_hours_and_is_not_an_hour() -> None:
    day, hour = made_of(TODAY), made_of(HOUR)
    names = names_of(day, hour)
    assert names.day(TODAY) == [day.name]  # type: ignore[attr-defined]
    assert names.hours() == [HOUR]
    assert names.day(TOMORROW) == []


@pytest.mark.parametrize(
    "path",
    [
        "_journal/date=2026-11-09/11.poll-0001.json",
        "_journal/date=2026-11-09/a",
        "_journal/date=2026-11-09",
        "_journal/date=2026-11-09.old/{poll}",
        "_journal/date=2026-11-09/old/{poll}",
        "_journal/date=2026-11-09/hour=11/{poll}",
        "_journal/date=2026-11-9/{poll}",
        "_journal/{poll}",
        "_journal/date=2026-11-09/11.from-2026-13-09T12.json",
        "_journal/date=2026-11-09/11.poll-0001-20269999T000000000000-20261109T000000-0-0-{sha}-UTC.json",
    ],
)
def test_foreign_files_change_nothing(path: str) -> None:
    path = path.format(poll=a_poll().path.rpartition("/")[2], sha="0" * 16)
    store = store_of(a_poll(number=2))
    before, inputs = Names(store).hour(HOUR), inputs_of(HOUR, Names(store))
    store.put(path, encode(a_poll()))
    names = Names(store)
    assert names.hour(HOUR) == before
    assert inputs_of(HOUR, names) == inputs
    noted = Names(store_of(a_poll(number=2)))
    noted.load(TODAY, TODAY)
    noted.add(path)
    assert noted.hour(HOUR) == before


@pytest.mark.parametrize("below", ["a", "old/a", f"old/{'x' * 9}/11.poll.json"])
def test_all_names_of_a_date_are_listed_also_foreign_ones(below: str) -> None:
    store = store_of(a_poll())
    store.put(f"_journal/date=2026-11-09/{below}", b"")
    found = Names(store).of(TODAY)
    assert found == sorted([a_poll().path.rpartition("/")[2], below])


# ---- listed and updated names

WINDOWS = [Window(at(hour)) for hour in (0, 11, 12, 23, 24, 35, 47)]
some_windows = st.sampled_from(WINDOWS)
numbers = st.integers(1, 4)
zones = st.sampled_from(["UTC", "Asia/Kolkata", "America/Port-au-Prince"])
hexadecimals = st.sampled_from(["0a" * 8, "0b" * 8])
others = some_windows.map(name_of_hour)
periods = some_windows.map(lambda window: window.key)
some_entries: st.SearchStrategy[Entry] = st.one_of(
    st.builds(a_poll, some_windows, numbers, zone=zones, rows=st.integers(0, 1)),
    st.builds(Lost, period=periods, number=numbers, sha256=hexadecimals, next_number=numbers),
    st.builds(From, period=periods, hour=others),
    st.builds(To, period=periods, hour=others),
    st.builds(Again, period=periods, at=st.just(at(60)), references=st.lists(st.just("R"))),
    st.builds(Rezoned, period=periods, number=numbers, change=numbers, zone=zones),
    st.builds(Waived, period=periods, why=st.just("x"), at=st.just(at(20))),
    st.builds(Damaged, period=periods, file=st.sampled_from(["returns/x", "return_items/x"])),
    st.builds(
        made_of,
        some_windows | st.sampled_from([TODAY, TOMORROW]),
        st.sampled_from(["0a" * 6, "0b" * 6]),
        st.integers(0, 2),
    ),
)
paths = some_entries.map(lambda entry: entry.path) | st.sampled_from(
    [
        "_journal/date=2026-11-09/11.stranger.json",
        "_journal/date=2026-11-10/x",
        "_journal/date=2026-11-09/old/11.waived.json",
        "_journal/ever.made-000000000000-00000000-00000000-0.json",
    ]
)
changes = st.tuples(st.sampled_from(["add", "discard", "add elsewhere", "look"]), paths)


def everything(names: Names) -> dict[object, object]:
    """All facts of the names about the two dates."""
    hours: dict[object, object] = {window: names.hour(window) for window in WINDOWS}
    days = {day: (names.day(day), names.of(day)) for day in (TODAY, TOMORROW)}
    inputs = {(window, "inputs"): inputs_of(window, names) for window in WINDOWS}
    return hours | days | inputs | {"hours": names.hours()}


@settings(max_examples=300)
@given(
    first=st.lists(paths, max_size=8),
    loaded=st.sampled_from([[], [TODAY], [TODAY, TOMORROW]]),
    made=st.lists(changes, max_size=12),
)
def test_updated_names_equal_freshly_listed_ones(
    first: list[str], loaded: list[date], made: list[tuple[str, str]]
) -> None:
    store = store_of()
    for path in first:
        store.put(path, b"")
    names, elsewhere = Names(store), False
    if loaded:
        names.load(loaded[0], loaded[-1])
    for change, path in made:
        if change == "look":
            names.hour(WINDOWS[len(path) % len(WINDOWS)])
        elif change == "discard":
            store.delete(path)
            names.discard(path)
        else:
            store.put(path, b"")
            elsewhere |= change == "add elsewhere"
            if change == "add":
                names.add(path)
    if elsewhere:  # another process put it: it appears when its date is listed again
        names.refresh(WINDOWS)
    assert everything(names) == everything(Names(store))


@given(entries=st.lists(some_entries, max_size=12), shuffler=st.randoms())
def test_names_do_not_depend_on_the_order_of_their_arrival(
    entries: list[Entry], shuffler: Any
) -> None:
    names = names_of()
    names.load(TODAY, TOMORROW)
    shuffler.shuffle(entries)
    for entry in entries:
        names.add(entry.path)
    assert everything(names) == everything(names_of(*entries))


def test_entries_of_another_process_appear_when_their_date_is_listed_again() -> None:
    store = store_of(a_poll())
    names = Names(store)
    assert names.hour(HOUR).polls == [a_poll()]
    store.put(a_poll(number=2).path, b"")
    store.put(made_of(TODAY).path, b"")
    assert names.hour(HOUR).polls == [a_poll()]
    assert names.day(TODAY) == []
    names.refresh([HOUR])
    assert names.hour(HOUR).polls == [a_poll(), a_poll(number=2)]
    assert names.day(TODAY) == [made_of(TODAY).name]  # type: ignore[attr-defined]
    store.delete(a_poll().path)
    names.refresh([Window(at(3))])
    assert names.hour(HOUR).polls == [a_poll(number=2)], "a whole date is listed at once"


def test_an_hour_is_unknown_after_its_last_name_is_removed() -> None:
    names = names_of(a_poll())
    assert names.hour(HOUR).polls
    names.discard(a_poll().path)
    assert names.hour(HOUR) == HourNames()
    assert names.hours() == []


def test_near_hours_are_listed_with_adjacent_dates_in_one_range() -> None:
    store = CountingStore(store_of(a_poll(HOUR), made_of(TOMORROW)))
    names = Names(store)
    names.load_hours([HOUR, Window(at(11 + 24 * 5)), Window(at(11 + 24 * 60))])
    assert store.requests == {"LIST": 2}
    assert names.hour(HOUR).polls == [a_poll(HOUR)]
    assert names.day(TOMORROW)
    assert names.day(TODAY - timedelta(days=1)) == []
    assert names.hours() == [HOUR]
    assert store.requests == {"LIST": 2}, "what was listed is not listed again"


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_ends_of_the_calendar_are_no_error(day: date) -> None:
    names = names_of()
    names.load(day, day)
    assert names.of(day) == []


# ---- sources and inputs


def test_an_hour_that_no_other_served_is_made_of_its_own_polls() -> None:
    names = names_of(a_poll(), a_poll(FAR))
    assert sources_of(HOUR, names) == [HOUR]


def test_sources_are_hours_that_served_returns_of_this_hour_or_of_one_it_served() -> None:
    """``far`` and this hour both served returns of ``home``: they decide together."""
    home, far, stranger = HOUR.next, Window(at(40)), Window(at(5))
    names = names_of(
        To(period=HOUR.key, hour=name_of_hour(home)),
        From(period=home.key, hour=name_of_hour(HOUR)),
        From(period=home.key, hour=name_of_hour(far)),
        To(period=far.key, hour=name_of_hour(home)),
        From(period=far.key, hour=name_of_hour(stranger)),
    )
    assert sources_of(HOUR, names) == [HOUR, home, far]
    assert sources_of(home, names) == [HOUR, home, far]
    assert sources_of(far, names) == [Window(at(5)), HOUR, home, far]
    assert sources_of(stranger, names) == [stranger]


@pytest.mark.parametrize("kind", one_of_each())
@pytest.mark.parametrize("window", [HOUR, HOUR.next, Window(at(20))], ids=["own", "linked", "far"])
def test_inputs_change_only_with_kinds_that_decide_the_content_of_an_hour(
    window: Window, kind: str
) -> None:
    """``linked`` served returns of the hour; notes about ``far`` do not concern it."""
    linked = [
        From(period=HOUR.key, hour=name_of_hour(HOUR.next)),
        To(period=HOUR.next.key, hour=name_of_hour(HOUR)),
    ]
    store = store_of(*linked, a_poll(HOUR), a_poll(HOUR.next), a_poll(Window(at(20))))
    names = Names(store)
    before, sources = inputs_of(HOUR, names), sources_of(HOUR, names)
    assert sources == [HOUR, HOUR.next]
    entry = one_of_each(window)[kind]
    store.put(entry.path, encode(entry))
    names.add(entry.path)
    is_changed = inputs_of(HOUR, names) != before
    assert is_changed == (kind in INPUTS and window in sources)
    assert inputs_of(HOUR, names) == inputs_of(HOUR, Names(store))
    names.discard(entry.path)
    assert inputs_of(HOUR, names) == before


@pytest.mark.parametrize("has_polls", [True, False])
def test_a_new_source_changes_the_inputs_only_if_it_was_polled(has_polls: bool) -> None:
    names = names_of(a_poll(HOUR), *([a_poll(FAR)] if has_polls else []))
    before = inputs_of(HOUR, names)
    names.add(From(period=HOUR.key, hour=name_of_hour(FAR)).path)
    assert sources_of(HOUR, names) == [HOUR, FAR]
    assert (inputs_of(HOUR, names) != before) == has_polls


def test_the_same_poll_of_two_hours_is_two_inputs() -> None:
    first, second = Window(at(11)), Window(at(12))
    digests = {inputs_of(w, names_of(a_poll(w, polled_at=at(60)))) for w in (first, second)}
    assert len(digests) == 2


def test_every_kind_is_either_an_input_or_not() -> None:
    """A new kind has to be added to the tests above."""
    kinds = {
        name.kind
        for entry in one_of_each().values()
        if (name := read_name(entry.path.rpartition("/")[2]))
    }
    assert kinds == one_of_each().keys()
    assert kinds > INPUTS


# ---- files


def test_a_poll_file_without_its_entry_is_unnoted(lake: Lake) -> None:
    def unnoted(window: Window = HOUR) -> list[int]:
        return lake.names().unnoted(window)

    names = lake.names()
    assert unnoted() == []
    polls = [lake.polls.create(names, HOUR, number, at(12), (), "UTC") for number in (1, 2, 12)]
    assert unnoted() == [1, 2, 12]
    assert unnoted(HOUR.next) == []
    first = polls[0]
    assert first
    lake.entries.put(names, first)
    assert unnoted() == [2, 12]
    lake.entries.put(names, Lost(period=HOUR.key, number=2, sha256="0" * 16, next_number=3))
    assert unnoted() == names.unnoted(HOUR) == [12]


@pytest.mark.parametrize(
    "name",
    ["poll-001.parquet", "poll-0001.parquet.tmp", "poll-0001 (1).parquet", "x/poll-0001.parquet"],
)
def test_a_foreign_file_among_the_polls_is_no_poll(name: str, lake: Lake) -> None:
    lake.store.put(f"raw_returns/{HOUR.path}/{name}", b"")
    assert lake.names().unnoted(HOUR) == []


def test_listed_files_are_cached_until_they_are_forgotten(lake: Lake) -> None:
    names = lake.names()
    path = lake.polls.path(HOUR, 1)
    assert names.files("raw_returns", TODAY) is None
    assert names.unnoted(HOUR) == []
    assert names.files("raw_returns", TODAY) == {}
    lake.store.put(path, b"four")
    assert names.unnoted(HOUR) == []
    names.forget_files()
    assert names.unnoted(HOUR) == [1]
    assert names.files("raw_returns", TODAY) == {path: 4}


def test_files_put_by_this_process_are_among_the_listed_files(lake: Lake) -> None:
    names = lake.names()
    path = lake.polls.path(HOUR, 1)
    names.add_file("raw_returns", path, 4)
    assert names.files("raw_returns", TODAY) is None, "of a date that was not listed all is unknown"
    names.load_files("raw_returns", TODAY, TOMORROW)
    names.add_file("raw_returns", path, 4)
    assert names.files("raw_returns", TODAY) == {path: 4}
    assert names.files("raw_returns", TOMORROW) == {}


def test_the_files_of_a_table_are_listed_by_date_with_their_sizes(lake: Lake) -> None:
    def put(table: tables.Table, windows: Iterable[Window]) -> dict[str, int]:
        found = {lake.path(table, window): 1 + n for n, window in enumerate(windows)}
        for path, size in found.items():
            lake.store.put(path, b"x" * size)
        return found

    today = put(tables.RETURNS, [HOUR, HOUR.next])
    tomorrow = put(tables.RETURNS, [Window(at(30))])
    put(tables.RETURN_ITEMS, [HOUR])
    put(tables.RETURNS, [Window(at(50))])
    names = lake.names()
    names.load_files("returns", TODAY, TOMORROW)
    assert names.files("returns", TODAY) == today
    assert names.files("returns", TOMORROW) == tomorrow
    assert names.files("returns", TOMORROW + timedelta(days=1)) is None
    assert names.files("return_items", TODAY) is None


def test_verify_names_files_in_a_foreign_folder_of_the_journal(lake: Lake) -> None:
    names = lake.names()
    kept = lake.polls.create(names, HOUR, 1, at(12), (), "UTC")
    assert kept
    lake.entries.put(names, kept)
    assert not list(Verifier(lake, UTC_DAYS).everything())
    copy = kept.path.replace("/11.", "/old/11.")
    lake.store.put(copy, lake.store.get(kept.path) or b"")
    (finding,) = Verifier(lake, UTC_DAYS).everything()
    assert (finding.path, finding.kind, finding.remedy) == (copy, "foreign", "quarantine")
