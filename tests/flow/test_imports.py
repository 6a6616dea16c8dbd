from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from support.lakes import bytes_of
from support.receivers import bodies, deliveries
from support.records import at

from returns_orchestration.errors import SettingsError
from returns_orchestration.flow import imports
from returns_orchestration.flow.imports import import_webhooks
from returns_orchestration.lake import Lake
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from returns_orchestration.lake.webhooks import Blank

LINES = [
    {"received_at": "2026-11-09T11:00:48Z", "body": {"a": 1.0, "b": "é"}},
    {"received_at": "2026-11-09T16:35:00+05:30", "body": "not json \n"},
    {"received_at": "2026-11-09T12:00:00Z", "body": [1]},
]


NOON = at(12, 30)


def imported(lake: Lake, file: Path, blank: Blank | None = None) -> Counter[Window]:
    """The new deliveries of a whole file, by hour."""
    found = import_webhooks(lake, file, start=at(0), now=NOON, blank=blank)
    assert not found.is_cut_off
    return found.hours


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "webhooks.ndjson"
    found.write_text("\n\n".join(json.dumps(line, ensure_ascii=False) for line in LINES))
    return found


def test_each_line_becomes_a_delivery_in_its_hour(lake: Lake, folder: Path, file: Path) -> None:
    assert imported(lake, file) == {Window(at(11)): 2, Window(at(12)): 1}
    assert bodies(folder) == ['{"a": 1.0, "b": "é"}'.encode(), b"not json \n", b"[1]"]
    found = deliveries(folder)
    assert found.get_column("received_at").to_list() == [at(11, 0, 48), at(11, 5), at(12)]
    assert found.get_column("position").to_list() == [1, 3, 5]


def test_the_same_file_again_changes_nothing(
    lake: Lake, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "AT_ONCE", 1)
    imported(lake, file)
    before = bytes_of(lake.store)
    assert not imported(lake, file)
    assert bytes_of(lake.store) == before


def test_of_a_file_that_has_grown_only_what_is_new_is_put(
    lake: Lake, folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "AT_ONCE", 1)
    imported(lake, file)
    once = bodies(folder)
    lines = file.read_text()
    file.write_text(f"{lines}\n{json.dumps(LINES[2], ensure_ascii=False)}\n")
    assert imported(lake, file) == {Window(at(12)): 1}, "it came twice"
    assert sorted(bodies(folder)) == sorted([*once, once[2]])


def test_what_was_blanked_is_known_again(lake: Lake, folder: Path, file: Path) -> None:
    def blank(_: Window, raw: pl.DataFrame) -> pl.DataFrame:
        return raw.with_columns(body=pl.lit("{}"))

    imported(lake, file, blank)
    file.write_text(f"{file.read_text()}\n")
    assert not imported(lake, file, blank)
    assert bodies(folder) == [b"{}"] * 3


def test_a_file_listens_from_its_first_time_to_its_last(lake: Lake, file: Path) -> None:
    imported(lake, file)
    names = lake.names()
    names.load_hours([Window(at(11))])
    found = [(entry.begin, entry.until) for entry in names.hour(Window(at(11))).listened]
    assert found == [(48, 3600)]
    assert not names.hour(Window(at(12))).listened


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"received_at": "2026-11-09T11:00:48Z"}',
        '{"received_at": "2026-11-09T11:00:48", "body": {}}',
        '{"received_at": "yesterday", "body": {}}',
        '{"received_at": 7, "body": {}}',
        '{"received_at": "0001-01-01T00:00:00+05:30", "body": {}}',
        '{"received_at": "1999-12-31T23:59:00Z", "body": {}}',
        '{"received_at": "9999-12-31T23:59:00Z", "body": {}}',
        '{"received_at": "2026-11-09T12:36:00Z", "body": {}}',
    ],
)
def test_a_line_that_is_no_delivery_is_named_and_nothing_imported(
    lake: Lake, folder: Path, file: Path, line: str
) -> None:
    file.write_text(f"{file.read_text()}\n{line}\n")
    with pytest.raises(SettingsError, match=r"Line 6 of .* nothing was imported"):
        imported(lake, file)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[]", "is no JSON object with `received_at` and `body`"),
        ('{"received_at": "2026-11-09T11:00:48", "body": {}}', "without a zone"),
        ('{"received_at": "yesterday", "body": {}}', "has no time"),
        ('{"received_at": "2027-11-09T11:00:48Z", "body": {}}', "was received in the future"),
        ('{"received_at": "1999-11-09T11:00:48Z", "body": {}}', "before the year 2000"),
    ],
)
def test_the_error_says_what_is_wrong_with_a_line(
    lake: Lake, file: Path, line: str, why: str
) -> None:
    file.write_text(f"{line}\n")
    with pytest.raises(SettingsError, match=f"Line 1 of .*{why}"):
        imported(lake, file)


def test_a_last_line_that_is_not_whole_yet_waits_for_the_next_import(
    lake: Lake, folder: Path, file: Path
) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole + b'\n{"received_at": "2026-11-09T12:0')
    found = import_webhooks(lake, file, start=at(0), now=NOON)
    assert (found.hours.total(), found.is_cut_off) == (3, True)
    assert len(bodies(folder)) == 3


def test_a_file_that_grows_while_it_is_imported_stays_as_it_was(
    lake: Lake, folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = lake.webhooks.put

    def growing(*given: Any) -> None:
        with file.open("a") as lines:
            lines.write("\nno json\n")
        put(*given)

    monkeypatch.setattr(lake.webhooks, "put", growing)
    assert imported(lake, file).total() == 3
    assert len(bodies(folder)) == 3


def test_a_byte_order_mark_is_passed_over(lake: Lake, file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert imported(lake, file).total() == 3


def test_hours_before_the_start_are_not_listened_in(lake: Lake, file: Path) -> None:
    import_webhooks(lake, file, start=at(12), now=NOON)
    names = lake.names()
    names.load_hours([Window(at(11)), Window(at(12))])
    assert not names.hour(Window(at(11))).listened


def test_a_file_that_cannot_be_read_is_named(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        imported(lake, tmp_path / "absent")
