"""The name of an entry holds all its arguments: each name is read back exactly, no other is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import at

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.entry_kinds import (
    MADE,
    Again,
    Blanked,
    Damaged,
    Entry,
    Erased,
    FileRecord,
    From,
    Listened,
    Lost,
    Made,
    Placed,
    Poll,
    Received,
    Rezoned,
    To,
    Waived,
    Webhooks,
    decode,
    encode,
    made_path,
)
from returns_orchestration.lake.entry_names import (
    entry_named,
    hour_named,
    name_of_hour,
    read_name,
    read_poll,
)
from returns_orchestration.lake.journal import (
    date_folder,
    digest_of_inputs,
    digest_of_sizes,
    folder_of,
)
from returns_orchestration.window import Window

HOUR = Window(at(11))
FOLDER = "_journal/date=2026-11-09"


def hexadecimal(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=length, max_size=length)


# Hypothesis needs naive bounds.
FIRST, LAST = datetime(2000, 1, 1), datetime(2099, 12, 30)  # noqa: DTZ001
windows = st.datetimes(FIRST, LAST).map(lambda moment: Window.of(moment.replace(tzinfo=UTC)))
periods = windows.map(lambda window: window.key)
hours = windows.map(name_of_hour)
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
numbers = st.integers(1, 9999) | st.integers(1, 10**7)
zones = st.sampled_from(sorted(available_timezones()))
shas = hexadecimal(16)
files = st.builds(
    FileRecord,
    path=st.text(min_size=1),
    size=st.integers(0, 2**40),
    rows=st.integers(0, 2**40),
    sha256=hexadecimal(64),
)


def made_entries(kind: type[Made]) -> st.SearchStrategy[Entry]:
    return st.builds(
        kind,
        period=periods | st.dates().map(date.isoformat) | st.just("ever"),
        inputs=hexadecimal(12),
        rules=hexadecimal(8),
        written_at=moments,
        made_of=st.lists(st.text()),
        files=st.dictionaries(st.text(), files, max_size=3),
        facts=st.dictionaries(st.sampled_from(["returns", "items"]), st.integers(0, 10**9)),
        first_seen=st.dictionaries(
            st.integers(0, 9999), st.tuples(st.integers(0, 9), st.integers(0, 9))
        ),
        references=st.binary(max_size=40),
    )


entries: dict[str, st.SearchStrategy[Entry]] = {
    "poll": st.builds(
        Poll,
        period=periods,
        number=numbers,
        polled_at=moments,
        noted_at=moments.map(lambda moment: moment.replace(microsecond=0)),
        rows=st.integers(0, 10**7),
        size=st.integers(0, 10**12),
        sha256=shas,
        zone=zones,
    ),
    "lost": st.builds(Lost, period=periods, number=numbers, sha256=shas, next_number=numbers),
    "from": st.builds(From, period=periods, hour=hours),
    "to": st.builds(To, period=periods, hour=hours),
    "again": st.builds(Again, period=periods, at=moments, references=st.lists(st.text())),
    "rezoned": st.builds(Rezoned, period=periods, number=numbers, change=numbers, zone=zones),
    "erased": st.builds(
        Erased,
        period=periods,
        number=numbers,
        change=numbers,
        what=st.sampled_from(["some", "all"]),
        size=st.integers(0, 10**12),
        sha256=shas,
    ),
    "received": st.builds(
        Received,
        period=periods,
        instance=hexadecimal(8),
        first=numbers,
        rows=st.integers(1, 10**7),
        size=st.integers(0, 10**12),
        sha256=shas,
    ),
    "listened": st.builds(
        Listened,
        period=periods,
        instance=hexadecimal(8),
        begin=st.integers(0, 3600),
        until=st.integers(0, 3600),
    ),
    "waived": st.builds(Waived, period=periods, why=st.text(), at=moments),
    "damaged": st.builds(Damaged, period=periods, file=st.text()),
    "webhooks": st.builds(Webhooks, period=periods, hour=hours),
    "placed": st.builds(
        Placed,
        period=periods,
        hour=hours,
        newest=moments,
        zone=st.sampled_from(["UTC", "Asia/Kolkata"]),
        deliveries=st.dictionaries(hexadecimal(8), st.lists(st.integers(1, 2**40))),
    ),
    "blanked": st.builds(Blanked, period=periods, files=hexadecimal(12)),
    **{kind: made_entries(of_kind) for kind, of_kind in MADE.items()},
}
NAMED = frozenset(
    {
        "poll",
        "lost",
        "from",
        "to",
        "rezoned",
        "erased",
        "received",
        "listened",
        "webhooks",
        "blanked",
    }
)
"""Kinds whose name holds the whole entry."""

each_kind = pytest.mark.parametrize("kind", entries)


@each_kind
@given(data=st.data())
def test_an_entry_is_read_from_its_name_and_from_its_content(
    kind: str, data: st.DataObject
) -> None:
    entry = data.draw(entries[kind])
    folder, _, name = entry.path.rpartition("/")
    read = read_name(name)
    assert read
    assert read.kind == kind
    assert f"{folder}/{read.at}." == folder_of(entry.period)
    arguments = entry.arguments
    assert all(
        value in arguments or value.lstrip("0") in arguments for value in read.arguments.values()
    )
    assert decode(encode(entry), entry.path) == entry


@each_kind
@given(data=st.data())
def test_an_entry_is_read_from_a_name_that_holds_all_of_it(kind: str, data: st.DataObject) -> None:
    entry = data.draw(entries[kind])
    assert entry_named(entry.path) == (entry if kind in NAMED else None)


@given(entry=entries["poll"])
def test_the_place_of_a_poll_gives_its_hour(entry: Poll) -> None:
    read = read_name(entry.path.rpartition("/")[2])
    assert read
    assert read_poll(Window.from_key(entry.period), read.arguments) == entry


@given(entry=entries["made"])
def test_the_name_of_a_made_entry_gives_its_path(entry: Made) -> None:
    assert entry.path == f"{folder_of(entry.period)}made-{entry.name.text}.json"
    if len(entry.period) > 10:
        assert entry.path == made_path(Window.from_key(entry.period), entry.name)


@each_kind
@given(data=st.data())
def test_two_entries_that_differ_in_an_argument_have_different_names(
    kind: str, data: st.DataObject
) -> None:
    first, second = data.draw(entries[kind]), data.draw(entries[kind])
    if kind in NAMED and first != second:
        assert first.path != second.path


def test_the_names_of_one_hour_are_contiguous_in_the_folder_of_its_date() -> None:
    assert folder_of(HOUR.key) == f"{FOLDER}/11."
    assert folder_of("2026-11-09") == f"{FOLDER}/day."
    assert folder_of("ever") == "_journal/ever."
    assert date_folder(date(2026, 11, 9)) == FOLDER


def test_the_names_are_those_of_the_format() -> None:
    """A change of any of these is another format: see FORMAT."""
    poll = Poll(
        period=HOUR.key,
        number=1,
        polled_at=at(12, 10, 3.000004),
        noted_at=at(12, 10, 4),
        rows=23,
        size=4711,
        sha256="9f86d081884c7d65",
        zone="America/Port-au-Prince",
    )
    file = FileRecord(
        path="returns/date=2026-11-09/hour=11/part-0.parquet", size=9, rows=1, sha256=""
    )
    made = Made(
        period=HOUR.key,
        inputs="0a" * 6,
        rules="0b" * 4,
        written_at=at(20),
        made_of=[],
        files={"returns": file},
        facts={"returns": 7},
    )
    sha = poll.sha256
    expected: dict[Entry, str] = {
        poll: f"poll-0001-20261109T121003000004-20261109T121004-23-4711-{sha}-"
        "America~Port-au-Prince",
        Lost(period=HOUR.key, number=1, sha256=sha, next_number=12345): f"lost-0001-{sha}-12345",
        From(period=HOUR.key, hour="2026-11-09T12"): "from-2026-11-09T12",
        To(period=HOUR.key, hour="2026-11-10T00"): "to-2026-11-10T00",
        Rezoned(
            period=HOUR.key, number=2, change=1, zone="Etc/GMT+5"
        ): "rezoned-0002-0001-Etc~GMT+5",
    }
    for entry, name in expected.items():
        assert entry.path == f"{FOLDER}/11.{name}.json"
    assert made.path == f"{FOLDER}/11.made-{'0a' * 6}-{'0b' * 4}-4e504611-7.json"
    again = Again(period=HOUR.key, at=at(13), references=["R-1", "R-2"])
    assert again.path == f"{FOLDER}/11.again-20261109T130000000000-cd8ff376bf5e4e4f.json"
    damaged = Damaged(period=HOUR.key, file="returns/x")
    assert damaged.path == f"{FOLDER}/11.damaged-f1dce6e22fc5b26d.json"
    assert Waived(period=HOUR.key, why="x", at=at(20)).path == f"{FOLDER}/11.waived.json"


POLL = "poll-0001-20261109T121003000000-20261109T121004-23-4711-9f86d081884c7d65-UTC"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".json",
        "11.json",
        "11..json",
        "poll.json",
        f"{POLL}.json",
        f"11.{POLL}",
        f"11.{POLL}.json.1a2b3c4d",
        f"11.{POLL}.json ",
        f"11.{POLL} (1).json",
        f" 11.{POLL}.json",
        f"011.{POLL}.json",
        f"1.{POLL}.json",
        f"24.{POLL}.json",
        f"99.{POLL}.json",
        f"١١.{POLL}.json",
        f"Day.{POLL}.json",
        f"old/11.{POLL}.json",
        f"11.{POLL}\n.json",
        f"11.{POLL}.json\n",
        f"11.{POLL.upper()}.json",
        f"11.{POLL.removesuffix('-UTC')}.json",
        f"11.{POLL.replace('0001', '001')}.json",
        f"11.{POLL.replace('UTC', 'U C')}.json",
        f"11.{POLL.replace('9f86', '9F86')}.json",
        f"11.{POLL.replace('23', '-23')}.json",
        "11.poll.json",
        "11.lost-0001.json",
        "11.from-2026-11-09.json",
        "11.from-2026-11-09T12:00.json",
        "11.to.json",
        "11.again-20261109T130000000000.json",
        "11.rezoned-0001-UTC.json",
        "11.waived-because.json",
        "11.waived-.json",
        "11.damaged.json",
        f"11.made-{'0a' * 6}-{'0b' * 4}-{'0c' * 4}.json",
        f"11.made-{'0a' * 6}-{'0b' * 4}-{'0c' * 4}-1-2.json",
        "11.strays-from-x.json",
        "11.unknown-0001.json",
        "format-2.json",
        ".writable-20261109T200000-1a2b3c4d-put",
    ],
)
def test_a_foreign_name_is_no_entry(name: str) -> None:
    assert read_name(name) is None
    assert entry_named(f"{FOLDER}/{name}") is None


@given(st.text(st.characters()) | st.from_regex(r"\d\d\.[a-z]+-[0-9a-fT-]*\.json", fullmatch=True))
def test_any_name_is_an_entry_or_none_and_raises_no_exception(name: str) -> None:
    read_name(name)
    entry_named(f"{FOLDER}/{name}")
    entry_named(name)


@pytest.mark.parametrize(
    "name",
    [
        f"11.{POLL.replace('20261109T121003', '20261309T121003')}.json",
        f"11.{POLL.replace('20261109T121003', '20261109T251003')}.json",
        f"11.{POLL.replace('20261109T121004', '20260230T121004')}.json",
        "11.from-2026-13-09T12.json",
        "11.to-2026-11-09T24.json",
        f"day.{POLL}.json",
        "day.from-2026-11-09T12.json",
    ],
)
def test_a_name_with_an_impossible_time_is_no_entry(name: str) -> None:
    assert entry_named(f"{FOLDER}/{name}") is None


def test_a_name_outside_a_date_folder_is_no_entry() -> None:
    for folder in ("_journal", "_journal/date=2026-99-99", "_journal/2026-11-09", ""):
        assert entry_named(f"{folder}/11.{POLL}.json") is None


@given(entry=st.one_of(*entries.values()), data=st.data())
def test_a_flipped_bit_and_a_truncation_are_damage(entry: Entry, data: st.DataObject) -> None:
    content = encode(entry)
    place = data.draw(st.integers(0, len(content) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    flipped = content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
    for bad in (flipped, content[:place], content[place + 1 :]):
        with pytest.raises(LakeDamaged, match="is not what was written"):
            decode(bad, entry.path)


@given(entry=st.one_of(*(entries[kind] for kind in sorted(entries.keys() - MADE.keys()))))
def test_a_whole_entry_in_another_place_is_damage(entry: Entry) -> None:
    other = Window.from_key(entry.period).next.key
    content = encode(entry)
    place = folder_of(other) + entry.path.removeprefix(folder_of(entry.period))
    with pytest.raises(LakeDamaged) as raised:
        decode(content, place)
    assert place in str(raised.value)


@given(windows)
def test_the_name_of_an_hour_is_read_as_that_hour(window: Window) -> None:
    assert hour_named(name_of_hour(window)) == window


@pytest.mark.parametrize("text", ["", "2026-11-09", "2026-11-09T", "2026-11-09T99", "x" * 13])
def test_an_invalid_name_of_an_hour_gives_none(text: str) -> None:
    assert hour_named(text) is None


@given(st.lists(st.text("abc/-", min_size=1), unique=True), st.randoms())
def test_the_digest_of_inputs_depends_on_each_input_and_not_on_order(
    names: list[str], shuffler: object
) -> None:
    digest = digest_of_inputs(names)
    shuffled = list(names)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    assert digest_of_inputs(shuffled) == digest
    assert len(digest) == 12
    for place in range(len(names)):
        assert digest_of_inputs(names[:place] + names[place + 1 :]) != digest


def test_the_digest_of_sizes_depends_on_sizes_and_places() -> None:
    sizes = {"returns/a": 1, "returns/b": 23}
    digest = digest_of_sizes(sizes)
    assert digest_of_sizes(dict(reversed(sizes.items()))) == digest
    for other in ({**sizes, "returns/a": 2}, {"returns/a": 1, "returns/c": 23}, {"returns/a": 1}):
        assert digest_of_sizes(other) != digest


def test_a_moment_is_named_to_the_microsecond() -> None:
    first = Again(period=HOUR.key, at=at(13), references=[])
    second = Again(period=HOUR.key, at=at(13) + timedelta(microseconds=1), references=[])
    assert first.path != second.path
