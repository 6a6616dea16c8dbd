from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.lakes import bytes_of, outside_quarantine, references, rows
from support.records import at, item, new_case, returned, with_items

from returns_orchestration import tables
from returns_orchestration.errors import (
    CredentialsRefused,
    LakeDamaged,
    LakeUnwritable,
    MalformedReply,
    NeverPolled,
    NoConnection,
    ServerFault,
    SettingsError,
)
from returns_orchestration.flow.outcomes import Failed, Made, MadeDay, Polled, Stopped
from returns_orchestration.lake import Lake
from returns_orchestration.lake.entry_kinds import made_path
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from pathlib import Path

    from returns_orchestration.flow.outcomes import Outcome

HOURS = list(windows_between(at(9), at(13)))
EMPTY = HOURS[3]


def reply(window: Window) -> list[Any]:
    """A return of several items, one at the next hour's start, a duplicate and a broken record."""
    if window == EMPTY:
        return []
    edge = returned(f"R-{window.end:%H}-00", window.end)
    own = returned(f"R-{window.start:%H}-30", at(0) + (window.start - at(0)), status="NEW")
    many = with_items([item("A"), item("B", refund_mode=None)])
    many["return_reference_number"] = f"R-{window.start:%H}-M"
    many["Return Request Timestamp"] = window.start.isoformat()
    return [own, many, edge, own, f'{{"broken": "{window.key}"}}']


def kinds(outcomes: list[Outcome]) -> list[tuple[type, Window | None]]:
    """The outcomes of the hours; for the days, which come after them, see test_days."""
    of_hours = [outcome for outcome in outcomes if not isinstance(outcome, MadeDay)]
    return [(type(outcome), getattr(outcome, "window", None)) for outcome in of_hours]


def test_each_hour_is_requested_once_polled_and_made(lake: Lake, api_of: Any) -> None:
    api = api_of(reply)
    outcomes = api.run(lake, HOURS)
    assert set(api.times_asked.items()) == {(window, 1) for window in HOURS}
    assert set(kinds(outcomes)) == {(kind, window) for window in HOURS for kind in (Polled, Made)}
    assert [window for kind, window in kinds(outcomes) if kind is Polled] == HOURS


def test_an_hour_is_made_as_soon_as_adjacent_hours_have_landed(lake: Lake, api_of: Any) -> None:
    outcomes = kinds(api_of(reply).run(lake, HOURS))
    assert outcomes.index((Made, HOURS[0])) < outcomes.index((Polled, HOURS[3]))
    assert outcomes.index((Made, HOURS[1])) > outcomes.index((Polled, HOURS[2]))
    assert outcomes.index((Made, HOURS[2])) > outcomes.index((Polled, HOURS[3]))


def test_all_rows_of_the_lake_add_up(lake: Lake, folder: Path, api_of: Any) -> None:
    api_of(reply).run(lake, HOURS)
    returns, items = rows(folder, "returns"), rows(folder, "return_items")
    modes, reasons = rows(folder, "refund_modes_hourly"), rows(folder, "return_reasons_hourly")
    assert returns.height == 9
    assert modes["returns"].sum() == returns.height
    for table in (modes, reasons):
        assert table["items"].sum() == items.height == 12
        assert table["quantity"].sum() == items["quantity"].sum()
    assert rows(folder, "rejected_returns").height == 3
    assert rows(folder, "raw_returns").height == 15


def test_every_poll_is_accounted_for(lake: Lake, api_of: Any) -> None:
    numbers = {
        o.window: (found.served, found.kept, found.duplicate, found.rejected)
        for o in api_of(reply).run(lake, HOURS)
        if isinstance(o, Made) and (found := o.built.accounting)
    }
    assert numbers == {**dict.fromkeys(HOURS[:3], (5, 3, 1, 1)), EMPTY: (0, 0, 0, 0)}


def test_two_runs_over_unchanged_replies_give_the_same_bytes_and_no_new_file(
    lake: Lake, api_of: Any
) -> None:
    api = api_of(reply)
    api.run(lake, HOURS)
    before = bytes_of(lake.store)
    outcomes = api.run(lake, HOURS)
    assert bytes_of(lake.store) == before
    assert [o.landed.kept for o in outcomes if isinstance(o, Polled)] == [False] * 4
    assert {o.window for o in outcomes if isinstance(o, Made)} == set(HOURS)
    assert not any(o.built.changed for o in outcomes if isinstance(o, Made))
    assert len(api.asked) == 8


def test_an_empty_hour_has_files_of_no_rows_and_a_failed_one_has_none(
    lake: Lake, folder: Path, api_of: Any
) -> None:
    own = {w: [returned(f"R-{w.start:%H}", w.start)] for w in HOURS[:3]}
    api = api_of(lambda w: own.get(w, []), errors={HOURS[1]: MalformedReply("No JSON.")})
    outcomes = api.run(lake, HOURS)
    assert [(o.window, type(o.error)) for o in outcomes if isinstance(o, Failed)] == [
        (HOURS[1], MalformedReply)
    ]
    for table in (tables.RAW_RETURNS, *tables.MADE_HOURLY):
        assert rows(folder, f"{table.name}/{EMPTY.path}").is_empty()
        assert not (folder / table.name / HOURS[1].path).exists()
    assert [poll.number for poll in lake.names().hour(EMPTY).polls] == [1]
    assert lake.names().hour(HOURS[1]).polls == []
    assert {o.window for o in outcomes if isinstance(o, Made)} == set(HOURS) - {HOURS[1]}


def test_only_missing_hours_are_polled(lake: Lake, api_of: Any) -> None:
    api_of(reply, errors={HOURS[1]: MalformedReply("No JSON.")}).run(lake, HOURS)
    again = api_of(reply)
    again.run(lake, HOURS, missing_only=True)
    assert again.asked == [HOURS[1]]
    third = api_of(reply)
    assert third.run(lake, HOURS, missing_only=True) == []
    assert third.asked == []
    whole = Lake(FolderStore(lake.store.root.parent / "whole"), lambda: at(20))  # type: ignore[attr-defined]
    api_of(reply).run(whole, HOURS)
    assert references(lake) == references(whole)


def test_tables_not_yet_made_are_made_without_a_call(lake: Lake, api_of: Any) -> None:
    api_of(reply).run(lake, HOURS, make=False)
    assert references(lake) == []
    api = api_of(reply)
    made = api.run(lake, HOURS, missing_only=True)
    assert api.asked == []
    assert set(kinds(made)) == {(Made, window) for window in HOURS}


def test_a_rebuild_sends_no_request_and_gives_the_same_bytes(
    lake: Lake, folder: Path, api_of: Any
) -> None:
    api_of(reply).run(lake, HOURS)
    before = bytes_of(lake.store)
    for table in tables.MADE_HOURLY:
        for file in (folder / table.name).rglob("*.parquet"):
            file.unlink()
    api = api_of(reply)
    api.run(lake, HOURS, poll=False)
    assert api.asked == []
    assert bytes_of(lake.store) == before


def test_tables_of_an_hour_that_was_never_polled_are_not_made(lake: Lake, api_of: Any) -> None:
    (outcome,) = api_of(reply).run(lake, HOURS[:1], poll=False)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, NeverPolled)
    assert bytes_of(lake.store) == {}


def test_a_late_return_is_added_and_counted_as_late(lake: Lake, api_of: Any) -> None:
    api_of(lambda _: [returned("R-1", at(9))]).run(lake, HOURS[:1])
    both = api_of(lambda _: [returned("R-1", at(9)), returned("R-2", at(9, 5))], at(200))
    (made,) = [o for o in both.run(lake, HOURS[:1]) if isinstance(o, Made)]
    assert made.built.record.facts == {
        "returns": 2,
        "items": 2,
        "rejected": 0,
        "late": 1,
        "provisional": 0,
    }
    assert made.built.frames["returns"]["first_polled_at"].to_list()[1] == at(200)


def test_a_poll_of_an_adjacent_hour_that_changes_an_hour_makes_it_due(
    lake: Lake, api_of: Any
) -> None:
    api_of(reply).run(lake, HOURS[1:2])
    made = [o for o in api_of(reply).run(lake, HOURS[:1]) if isinstance(o, Made)]
    assert {o.window for o in made} == set(HOURS[:2])
    returns = lake.read(tables.RETURNS, HOURS[1], lake.names())
    assert returns is not None
    assert "R-10-00" in returns["return_reference_number"].to_list()


@pytest.mark.parametrize(
    "error",
    [CredentialsRefused("Refused."), SettingsError("CLICKPOST_KEY not set."), NoConnection("No.")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_every_hour_stops_the_run_at_once(
    error: Exception, lake: Lake, api_of: Any
) -> None:
    api = api_of(reply, errors=dict.fromkeys(HOURS, error))
    (outcome,) = api.run(lake, HOURS)
    assert isinstance(outcome, Stopped)
    assert outcome.error is error
    assert api.asked == HOURS[:1]


def test_hours_that_landed_before_the_stop_are_made(lake: Lake, api_of: Any) -> None:
    api = api_of(reply, errors={HOURS[2]: CredentialsRefused("Refused.")})
    outcomes = api.run(lake, HOURS)
    assert kinds(outcomes)[-1] == (Stopped, None)
    assert {o.window for o in outcomes if isinstance(o, Made)} == set(HOURS[:2])
    assert HOURS[3] not in api.asked


def test_one_hour_without_a_connection_is_one_failed_hour(lake: Lake, api_of: Any) -> None:
    api = api_of(reply, errors={HOURS[1]: NoConnection("No.")})
    outcomes = api.run(lake, HOURS)
    assert [o.window for o in outcomes if isinstance(o, Failed)] == [HOURS[1]]
    assert len(api.asked) == 4


def alter(lake: Lake, path: str) -> bytes:
    """Change one byte of a file, as a disk does; gives the changed file."""
    content = bytearray(lake.store.get(path) or b"")
    content[len(content) // 2] ^= 1
    lake.store.put(path, bytes(content))
    return bytes(content)


def test_an_altered_poll_fails_its_hour_and_no_other_until_it_is_quarantined(
    lake: Lake, api_of: Any
) -> None:
    """Its size is right, so only a reader can find it; the next run uses the note."""
    api = api_of(lambda w: [returned(f"R-{w.start:%H}", w.start)])
    api.run(lake, HOURS)
    path = lake.polls.path(HOURS[1], 1)
    altered = alter(lake, path)
    lake.drop_cache()
    outcomes = api.run(lake, HOURS)
    failed = [o for o in outcomes if isinstance(o, Failed)]
    assert [(o.window, type(o.error)) for o in failed] == [(HOURS[1], LakeDamaged)]
    assert path in str(failed[0].error)
    assert {o.window for o in outcomes if isinstance(o, Made)} == set(HOURS) - {HOURS[1]}
    assert api.states(lake, HOURS) == ["complete", "damaged", "complete", "complete"]
    api.asked.clear()
    api.run(lake, HOURS, missing_only=True)
    assert api.asked == [HOURS[1]]
    assert api.states(lake, HOURS) == ["complete"] * 4
    assert lake.store.get(path) is None
    assert list(bytes_of(lake.store, "_quarantine/raw_returns").values()) == [altered]
    assert references(lake) == [f"R-{w.start:%H}" for w in HOURS]


def test_a_poll_of_another_size_is_quarantined_and_polled_again_by_the_next_run(
    lake: Lake, api_of: Any
) -> None:
    api = api_of(reply)
    api.run(lake, HOURS)
    lake.store.put(lake.polls.path(HOURS[1], 1), b"torn")
    api.asked.clear()
    outcomes = api.run(lake, HOURS, missing_only=True)
    assert api.asked == [HOURS[1]]
    assert not [o for o in outcomes if isinstance(o, Failed)]
    assert list(bytes_of(lake.store, "_quarantine/raw_returns").values()) == [b"torn"]
    assert [poll.number for poll in lake.names().hour(HOURS[1]).polls] == [2]
    assert api.states(lake, HOURS) == ["complete"] * 4


def test_an_hour_that_lost_a_poll_is_made_of_the_other_polls_while_the_api_fails(
    lake: Lake, api_of: Any
) -> None:
    """At each run: else its day would be made without it, and `status` would count no returns."""
    ten = HOURS[1]
    api_of(lambda w: [returned(f"R-{w.start:%H}", w.start)]).run(lake, HOURS)
    api = api_of(lambda w: [returned(f"R-{n}", w.start) for n in ("late", f"{w.start:%H}")])
    api.run(lake, [ten])
    lake.store.put(lake.polls.path(ten, 2), b"torn")
    for _ in range(3):
        for error in (ServerFault("It failed."), CredentialsRefused("Refused.")):
            api.errors = {ten: error}
            api.run(lake, HOURS, missing_only=True)
            assert api.states(lake, HOURS) == ["complete", "damaged", "complete", "complete"]
            assert references(lake) == [f"R-{w.start:%H}" for w in HOURS]
            assert [made.returns for made in lake.names().hour(ten).made] == [1]
    days = lake.names().day(HOURS[0].start.date())
    assert len(days) == 1
    api.errors = {}
    api.run(lake, HOURS, missing_only=True)
    assert api.states(lake, HOURS) == ["complete"] * 4
    assert references(lake) == [*(f"R-{w.start:%H}" for w in HOURS), "R-late"]


def test_a_poll_that_cannot_be_read_for_now_is_not_quarantined(
    lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hour is damaged for another cause, and the disk does not answer."""
    api = api_of(reply)
    api.run(lake, HOURS)
    before = bytes_of(lake.store)
    poll, table = lake.polls.path(HOURS[1], 1), lake.path(tables.RETURNS, HOURS[1])
    lake.store.put(table, b"torn")
    get = lake.store.get

    def refused(path: str) -> bytes | None:
        if path == poll:
            message = "The lake could not be read: Input/output error."
            raise LakeDamaged(message)
        return get(path)

    with monkeypatch.context() as broken:
        broken.setattr(lake.store, "get", refused)
        outcomes = api.run(lake, HOURS, missing_only=True)
    (failed,) = [o for o in outcomes if isinstance(o, Failed)]
    assert (failed.window, "Input/output error" in str(failed.error)) == (HOURS[1], True)
    assert bytes_of(lake.store) == before | {table: b"torn"}
    api.run(lake, HOURS, missing_only=True)
    assert outside_quarantine(lake.store) == before
    assert len(api.asked) == 4


def test_a_damaged_entry_of_tables_found_by_a_reader_is_repaired_by_the_next_run(
    lake: Lake, api_of: Any
) -> None:
    api = api_of(reply)
    api.run(lake, HOURS)
    before = bytes_of(lake.store)
    path = made_path(HOURS[1], lake.names().hour(HOURS[1]).made[0])
    lake.store.put(path, b"{")
    lake.drop_cache()
    with pytest.raises(LakeDamaged, match=path):
        lake.read(tables.RETURNS, HOURS[1], lake.names())
    assert api.states(lake, HOURS) == ["complete", "damaged", "complete", "complete"]
    outcomes = api.run(lake, HOURS, missing_only=True)
    assert (Made, HOURS[1]) in kinds(outcomes)
    assert len(api.asked) == 4
    assert bytes_of(lake.store) == before


def test_a_table_that_was_altered_is_made_again(lake: Lake, api_of: Any) -> None:
    api = api_of(reply)
    api.run(lake, HOURS)
    before = bytes_of(lake.store)
    lake.store.put(lake.path(tables.RETURNS, HOURS[0]), b"altered")
    outcomes = api.run(lake, HOURS, poll=False)
    assert next(o.built.changed for o in outcomes if isinstance(o, Made)) == {"returns"}
    assert {kind for kind, _ in kinds(outcomes)} == {Made}
    assert outside_quarantine(lake.store) == before
    quarantined = bytes_of(lake.store, "_quarantine").values()
    assert list(quarantined) == [b"altered"]


def test_many_in_flight_give_the_same_lake_as_one(lake: Lake, tmp_path: Path, api_of: Any) -> None:
    api_of(reply, always_at=at(100)).run(lake, HOURS)
    other = Lake(FolderStore(tmp_path / "other"), lambda: at(20))
    list(api_of(reply, always_at=at(100)).pipeline(other, in_flight=8).run(HOURS[::-1]))
    assert bytes_of(other.store) == bytes_of(lake.store)


def test_progress_is_reported_before_an_outcome_is_given(lake: Lake, api_of: Any) -> None:
    reported: list[Outcome] = []
    pipeline = api_of(reply).pipeline(lake)
    pipeline._on_outcome = reported.append
    given = []
    for outcome in pipeline.run(HOURS[:2]):
        assert reported[-1] is outcome
        given.append(outcome)
    assert reported == given


def test_a_full_disk_stops_the_run_and_is_reported(
    lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_of(reply).run(lake, HOURS[:1])
    before = bytes_of(lake.store)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        *_, last = api_of(lambda _: [new_case()]).run(lake, HOURS)
    assert isinstance(last, Stopped)
    assert isinstance(last.error, LakeUnwritable)
    assert "No space left on device" in str(last.error)
    assert bytes_of(lake.store) == before
