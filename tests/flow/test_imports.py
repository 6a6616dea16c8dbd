from __future__ import annotations

import json
from pathlib import Path

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

LINES = [
    {"received_at": "2026-11-09T11:00:48Z", "body": {"a": 1.0, "b": "é"}},
    {"received_at": "2026-11-09T16:35:00+05:30", "body": "not json \n"},
    {"received_at": "2026-11-09T12:00:00Z", "body": [1]},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "webhooks.ndjson"
    found.write_text("\n\n".join(json.dumps(line, ensure_ascii=False) for line in LINES))
    return found


def test_each_line_becomes_a_delivery_in_its_hour(lake: Lake, folder: Path, file: Path) -> None:
    assert import_webhooks(lake, file) == {Window(at(11)): 2, Window(at(12)): 1}
    assert bodies(folder) == ['{"a": 1.0, "b": "é"}'.encode(), b"not json \n", b"[1]"]
    found = deliveries(folder)
    assert found.get_column("received_at").to_list() == [at(11, 0, 48), at(11, 5), at(12)]
    assert found.get_column("position").to_list() == [1, 3, 5]


def test_the_same_file_again_changes_nothing(
    lake: Lake, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "AT_ONCE", 1)
    import_webhooks(lake, file)
    before = bytes_of(lake.store)
    assert not import_webhooks(lake, file)
    assert bytes_of(lake.store) == before


def test_of_a_file_that_has_grown_only_what_is_new_is_put(
    lake: Lake, folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "AT_ONCE", 1)
    import_webhooks(lake, file)
    once = bodies(folder)
    lines = file.read_text()
    file.write_text(f"{lines}\n{json.dumps(LINES[2], ensure_ascii=False)}\n")
    assert import_webhooks(lake, file) == {Window(at(12)): 1}, "it came twice"
    assert sorted(bodies(folder)) == sorted([*once, once[2]])


def test_what_was_blanked_is_known_again(lake: Lake, folder: Path, file: Path) -> None:
    def blank(_: Window, raw: pl.DataFrame) -> pl.DataFrame:
        return raw.with_columns(body=pl.lit("{}"))

    import_webhooks(lake, file, blank)
    file.write_text(f"{file.read_text()}\n")
    assert not import_webhooks(lake, file, blank)
    assert bodies(folder) == [b"{}"] * 3


def test_a_file_listens_from_its_first_time_to_its_last(lake: Lake, file: Path) -> None:
    import_webhooks(lake, file)
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
    ],
)
def test_a_line_that_is_no_delivery_is_named_and_nothing_imported(
    lake: Lake, folder: Path, file: Path, line: str
) -> None:
    file.write_text(f"{file.read_text()}\n{line}\n")
    with pytest.raises(SettingsError, match=r"Line 6 of .* nothing was imported"):
        import_webhooks(lake, file)
    assert not folder.exists()


def test_a_file_that_cannot_be_read_is_named(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        import_webhooks(lake, tmp_path / "absent")
