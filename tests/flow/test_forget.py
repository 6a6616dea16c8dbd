"""Personal data is blanked in polls, tables and quarantine, for ever, and nothing else changes."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from support.lakes import bytes_of, placed
from support.records import Record, at, returned

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.flow.forget import EarlierCopies, Forgetter, Forgot
from returns_orchestration.flow.outcomes import Failed, Polled
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake.forgotten import FORGOTTEN, Receipt
from returns_orchestration.lake.format import BACKUP
from returns_orchestration.lake.parquet import poll_to_parquet, to_parquet
from returns_orchestration.lake.quarantine import copy_to_quarantine
from returns_orchestration.stages.erasure import (
    PERSONAL_COLUMNS,
    blanked,
    email,
    hashed,
    phone,
    reference,
)
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from returns_orchestration.lake import Lake

INDIA = ZoneInfo("Asia/Kolkata")
TEN, ELEVEN = windows_between(at(10), at(12))
HOURS = [TEN, ELEVEN]
SALT = "0f" * 16
CANARIES = ("zoe.canary", "Canary Street", "Zoe Canary", "98765-43210")


def zoe(name: str, window: Window, **changes: Any) -> Record:
    """A return of the person to be forgotten."""
    payload = {
        "location": "7 Canary Street",
        "remark": "Zoe Canary was not in",
        "pickup_info": {"customer_email": "zoe.canary@example.org", "phone": "+91 98765-43210"},
    }
    return returned(name, window.start, webhook_payload=payload, **changes)


BARE = {"webhook_payload": {"pickup_info": {"name": "Zoe Canary"}}}
"""Of a record that shows a name, and neither address nor number."""


def reply(window: Window) -> list[Record]:
    unusable = zoe("Z-bad", window, **{"Return Request Timestamp": "soon"})
    return [
        returned(f"A-{window.number}", window.start),
        zoe(f"Z-{window.number}", window),
        unusable,
    ]


def receipt(*people: str, hour: int = 20) -> Receipt:
    hashes = sorted(hashed(person, bytes.fromhex(SALT)) for person in people)
    return Receipt(at=at(hour), salt=SALT, hashes=hashes)


ZOE = receipt(email("zoe.canary@example.org"))


@pytest.fixture
def api(api_of: Any) -> Any:
    return api_of(reply)


@pytest.fixture
def polled(api: Any, lake: Lake) -> Lake:
    """Two hours, polled and made."""
    outcomes = api.run(lake, HOURS)
    assert not [o for o in outcomes if isinstance(o, Failed)]
    assert shown(lake)
    return lake


def forget(api: Any, lake: Lake, *receipts: Receipt) -> Forgot:
    for one in receipts:
        lake.receipts.add(one)
    lake.drop_cache()
    forgot = Forgetter(api.pipeline(lake)).carry_out()
    assert not forgot.errors, forgot.errors
    return forgot


def shown(lake: Lake) -> list[str]:
    """The files that show the person."""
    return [path for path, content in bytes_of(lake.store).items() if holds(content or b"")]


def holds(content: bytes) -> bool:
    if not content.startswith(b"PAR1"):
        return any(canary.encode() in content for canary in CANARIES)
    text = pl.read_parquet(content).write_json()
    return any(canary in text for canary in CANARIES)


def counts(lake: Lake) -> dict[str, int]:
    kept = [table for table in tables.TABLES if table not in tables.OF_ALL_TIME]  # made once a day
    found = {table.name: placed(lake.store, table.name) for table in kept}
    return {name: frame.height for name, frame in found.items() if frame is not None}


def findings(lake: Lake) -> list[str]:
    return [finding.text for finding in Verifier(lake, INDIA).everything()]


def raw(lake: Lake, window: Window = TEN, number: int = 1) -> list[str]:
    content = lake.store.get(lake.polls.path(window, number))
    assert content is not None
    return pl.read_parquet(content).get_column("record").to_list()


def test_a_person_is_in_no_file_and_every_count_and_row_stays(api: Any, polled: Lake) -> None:
    before, others = counts(polled), raw(polled)[0]
    rows = placed(polled.store, "returns")

    forgot = forget(api, polled, ZOE)

    assert (forgot.records, forgot.polls, forgot.hours) == (4, 2, 2)
    assert not shown(polled)
    assert counts(polled) == before
    assert raw(polled)[0] == others
    assert rows is not None
    kept = rows.drop(PERSONAL_COLUMNS, "quality")
    now = placed(polled.store, "returns")
    assert now is not None
    assert now.drop(PERSONAL_COLUMNS, "quality").equals(kept)
    assert api.states(polled, HOURS) == ["complete", "complete"]
    assert not findings(polled)
    assert not polled.receipts.open()


def test_the_tables_are_made_again_byte_for_byte(api: Any, polled: Lake) -> None:
    forget(api, polled, ZOE)
    before = bytes_of(polled.store)
    for table in tables.MADE_HOURLY:
        polled.store.delete(polled.path(table, TEN))
    assert Rebuilder(api.pipeline(polled)).rebuild(at(10), at(12)).is_whole
    assert bytes_of(polled.store, "returns") == {
        path: content for path, content in before.items() if path.startswith("returns/")
    }


def test_again_nothing_is_left_to_do(api: Any, polled: Lake) -> None:
    forget(api, polled, ZOE)
    before = bytes_of(polled.store)
    forgot = forget(api, polled)
    assert (forgot.records, forgot.hours) == (0, 0)
    assert bytes_of(polled.store) == before


def test_a_poll_that_serves_the_person_again_brings_nothing_back(api: Any, polled: Lake) -> None:
    forget(api, polled, ZOE)
    before = bytes_of(polled.store)
    outcomes = api.run(polled, HOURS)
    assert [o.landed.kept for o in outcomes if isinstance(o, Polled)] == [False, False]
    assert bytes_of(polled.store) == before


def test_what_changed_since_is_kept_without_the_person(api_of: Any, api: Any, polled: Lake) -> None:
    forget(api, polled, ZOE)

    def newer(window: Window) -> list[Record]:
        return [zoe(f"Z-{window.number}", window, refund_mode="Wallet")]

    api_of(newer).run(polled, HOURS)
    assert not shown(polled)
    frame = placed(polled.store, "returns")
    assert frame is not None
    of_zoe = frame.filter(pl.col("return_reference_number") == f"Z-{TEN.number}")
    assert of_zoe.get_column("refund_mode").to_list() == ["Wallet"]


@pytest.mark.parametrize(
    ("person", "others"),
    [
        (reference(f"Z-{TEN.number}"), 3),
        (phone("9876543210"), 0),
        (email("Zoe.Canary@example.org"), 0),
    ],
)
def test_a_person_is_named_by_return_or_number_or_address(
    api: Any, polled: Lake, person: str, others: int
) -> None:
    forget(api, polled, receipt(person))
    records = [*raw(polled), *raw(polled, ELEVEN)]
    assert sum(any(canary in record for canary in CANARIES) for record in records) == others


@pytest.mark.parametrize(("hour", "stays"), [(19, False), (20 + 23, False), (20 + 25, True)])
def test_what_the_person_requests_later_stays(
    api_of: Any, api: Any, polled: Lake, hour: int, stays: bool
) -> None:
    """A day more, as a request time may be read in another zone."""
    forget(api, polled, ZOE)
    later = Window(at(hour))
    api_of(lambda window: [zoe("Z-later", window)]).run(polled, [later])
    assert bool(shown(polled)) == stays


def test_a_killed_erasure_is_ended_by_the_same_call(api: Any, polled: Lake) -> None:
    """Killed at each write: the next call ends it, and readers are never misled."""
    before = bytes_of(polled.store)
    polled.receipts.add(ZOE)
    puts = 0
    while True:
        for path in bytes_of(polled.store).keys() - before.keys() - {ZOE.path}:
            polled.store.delete(path)
        for path, content in before.items():
            polled.store.put(path, content or b"")
        polled.drop_cache()
        if not killed(polled, api, puts):
            break
        puts += 1
        assert counts(polled)["returns"] == 4
        assert not [text for text in findings(polled) if "unfinished" not in text]
        forget(api, polled)
        assert not shown(polled)
        assert not findings(polled)
        assert api.states(polled, HOURS) == ["complete", "complete"]
    assert puts > 8


def killed(lake: Lake, api: Any, puts: int) -> bool:
    """Whether the call was cut off after so many writes."""
    store, left = lake.store, [puts]

    class Killed(BaseException):
        pass

    with pytest.MonkeyPatch.context() as patch:
        for name in ("put", "create", "put_many", "delete", "delete_many"):
            real = getattr(store, name)

            def call(*arguments: Any, real: Any = real) -> Any:
                if not left[0]:
                    raise Killed
                left[0] -= 1
                return real(*arguments)

            patch.setattr(store, name, call)
        try:
            Forgetter(api.pipeline(lake)).carry_out()
        except Killed:
            return True
    return False


def erased_without_an_entry(lake: Lake) -> None:
    """A killed call has put the file, and not its entry."""
    poll = lake.names().hour(TEN).polls[0]
    records = [blanked(record) for record in raw(lake)]
    name = f"{TEN.key}/poll-0001"
    content = poll_to_parquet(records, poll.polled_at, poll.noted_at, poll.zone, name)
    lake.store.put(lake.polls.path(TEN, 1), content)
    lake.drop_cache()


def test_a_run_takes_an_erasure_without_its_entry_for_what_it_is(api: Any, polled: Lake) -> None:
    erased_without_an_entry(polled)
    [text] = findings(polled)
    assert text.startswith(f"unfinished  {polled.polls.path(TEN, 1)}: left by a killed run")
    assert polled.polls.served(polled.names().hour(TEN).polls[0]) == raw(polled)
    before = len(raw(polled))
    api.run(polled, HOURS, poll=False)
    assert not findings(polled)
    assert len(raw(polled)) == before
    assert not list(polled.store.list("_quarantine"))


def test_a_rebuild_notes_an_erasure_without_its_entry(api: Any, polled: Lake) -> None:
    erased_without_an_entry(polled)
    assert Rebuilder(api.pipeline(polled)).rebuild(at(10), at(12)).is_whole
    assert not findings(polled)
    assert polled.names().hour(TEN).polls[0].erased


@pytest.mark.parametrize("by", ["forget", "rebuild", "a run"])
def test_a_file_from_before_that_is_put_back_is_blanked_again(
    api: Any, polled: Lake, by: str
) -> None:
    """An older copy of one file was restored: no return is lost, and nobody is brought back."""
    path, rows = polled.polls.path(TEN, 1), counts(polled)
    before = polled.store.get(path) or b""
    forget(api, polled, ZOE)
    polled.store.put(path, before)
    polled.drop_cache()
    assert any(path in text and "altered" in text for text in findings(polled))
    if by == "forget":
        forget(api, polled)
    elif by == "rebuild":
        assert Rebuilder(api.pipeline(polled)).rebuild(at(10), at(12)).is_whole
    else:
        assert api.states(polled, [TEN]) == ["damaged"]
        api.run(polled, [TEN], poll=False)
    assert not shown(polled)
    assert not findings(polled)
    assert counts(polled) == rows
    assert not list(polled.store.list("_quarantine"))
    assert api.states(polled, HOURS) == ["complete", "complete"]


def test_a_return_is_known_once_one_of_its_records_shows_the_person(
    api_of: Any, api: Any, polled: Lake
) -> None:
    """Late, in pieces of which one shows the address, and served again without it."""
    forget(api, polled, ZOE)

    def pieces(window: Window) -> list[Record]:
        second = returned("Z-late", window.start, awb="2", **BARE)
        return [zoe("Z-late", window, awb="1"), second]

    def again(window: Window) -> list[Record]:
        return [returned("Z-late", window.start, awb="1", refund_mode="Wallet", **BARE)]

    api_of(pieces).run(polled, [TEN])
    assert not shown(polled)
    api_of(again).run(polled, [TEN])
    assert not shown(polled)
    assert Forgetter(api.pipeline(polled)).keep_up().records == 0
    assert not polled.receipts.open()


@pytest.mark.parametrize("where", ["kept", "quarantined"])
def test_records_of_the_return_that_do_not_show_the_person_are_found(
    api_of: Any, polled: Lake, where: str
) -> None:
    """One poll shows the address, and a later one only the name."""
    api_of(lambda w: [returned(f"Z-{w.number}", w.start, **BARE)]).run(polled, HOURS)
    if where == "quarantined":
        for window in HOURS:
            path = polled.polls.path(window, 1)
            copy_to_quarantine(polled.store, path)
            names = polled.names()
            polled.polls.quarantine(names, window, 1)
        polled.drop_cache()
    forget(api_of(reply), polled, ZOE)
    assert not shown(polled)


def test_what_has_to_stay_and_shows_the_person_is_counted(api_of: Any, lake: Lake) -> None:
    named = "zoe.canary@example.org"
    api = api_of(lambda w: [returned(named, w.start)])
    api.run(lake, [TEN])
    assert forget(api, lake, ZOE).held == 1


def test_without_the_setting_blank_hours_stay_blank(api_of: Any, api: Any, polled: Lake) -> None:
    Forgetter(api_of(reply, keep_raw=timedelta(hours=1)).pipeline(polled)).keep_up()
    assert not shown(polled)
    api.run(polled, HOURS)
    assert not shown(polled)


@pytest.mark.parametrize("lost", ["removed", "altered"])
def test_a_lost_entry_of_an_erasure_is_written_again(api: Any, polled: Lake, lost: str) -> None:
    forget(api, polled, ZOE)
    files = bytes_of(polled.store)
    [entry] = [path for path in files if "10.erased-" in path]
    if lost == "removed":
        polled.store.delete(entry)
    else:
        polled.store.put(entry, b"{}")
    polled.drop_cache()
    assert Rebuilder(api.pipeline(polled)).rebuild(at(10), at(12)).is_whole
    assert not findings(polled)
    assert not shown(polled)
    assert polled.store.get(polled.polls.path(TEN, 1)) == files[polled.polls.path(TEN, 1)]


# ---- quarantine and remains


def test_a_number_in_a_reason_of_a_quarantined_table_is_removed(api: Any, polled: Lake) -> None:
    days = tables.RETURN_REASONS.daily
    reasons = pl.Series("return_reason", ["Call +91 98765 43210", "Size Issue"])
    item = pl.DataFrame([reasons])
    places = [polled.path(tables.RETURN_ITEMS, TEN), f"{days.name}/date=2026-11-09/part-0.parquet"]
    for place in places:
        polled.store.put(f"_quarantine/{place}.0a1b2c3d", to_parquet(item))

    forget(api, polled, ZOE)

    left = list(polled.store.list("_quarantine"))
    found = [pl.read_parquet(polled.store.get(path) or b"") for path in left]
    assert [frame.to_series().to_list() for frame in found] == [
        ["Call (erased)", "Size Issue"],
        ["Call (erased)", "Size Issue"],
    ]


def test_quarantined_files_are_blanked_or_removed(api: Any, polled: Lake) -> None:
    store = polled.store
    places = [
        copy_to_quarantine(store, polled.path(table, TEN))
        for table in (tables.RETURNS, tables.REJECTED_RETURNS, tables.RETURN_ITEMS)
    ]
    places.append(copy_to_quarantine(store, polled.polls.path(TEN, 1)))
    torn = f"_quarantine/{polled.polls.path(ELEVEN, 1)}.0a1b2c3d"
    store.put(torn, (store.get(polled.polls.path(ELEVEN, 1)) or b"")[:-9])

    forgot = forget(api, polled, ZOE, receipt(reference(f"Z-{TEN.number}"), hour=21))

    assert not shown(polled)
    assert forgot.removed == [torn]
    assert forgot.quarantined == 3
    left = {path.rpartition(".")[0]: path for path in store.list("_quarantine")}
    assert left.keys() == {str(place).rpartition(".")[0] for place in places}
    for place, path in left.items():
        frame = pl.read_parquet(store.get(path) or b"")
        assert frame.height == pl.read_parquet(store.get(place.partition("/")[2]) or b"").height
    rows = pl.read_parquet(
        store.get(left[f"_quarantine/{polled.path(tables.RETURNS, TEN)}"]) or b""
    )
    assert rows.get_column("webhook_location").null_count() == 1  # not the other return's


def test_temporary_files_of_killed_writers_are_removed(
    api: Any, polled: Lake, folder: Path
) -> None:
    left = folder / "_tmp" / "0a1b"
    left.write_bytes(b"zoe.canary")
    moment = left.stat().st_mtime - 100
    os.utime(left, (moment, moment))
    forget(api, polled, ZOE)
    assert not left.exists()


def test_a_poll_that_a_killed_run_left_is_blanked_too(
    api_of: Any, api: Any, polled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is there, and no entry."""

    class Killed(BaseException):
        pass

    def dies(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(polled.entries, "put", dies)
        twelve = Window(at(12))
        with pytest.raises(Killed):
            api_of(reply).run(polled, [twelve])
    assert polled.polls.path(twelve, 1) in shown(polled)
    forget(api, polled, ZOE)
    assert not shown(polled)
    assert not findings(polled)


def test_copies_from_before_an_upgrade_are_a_reason_to_refuse(api: Any, polled: Lake) -> None:
    polled.store.put(f"{BACKUP}/returns/x", b"")
    with pytest.raises(EarlierCopies, match="--drop-old"):
        Forgetter(api.pipeline(polled)).check()


def test_a_poll_that_cannot_be_read_leaves_the_receipt_open(api: Any, polled: Lake) -> None:
    polled.store.put(polled.polls.path(TEN, 1), b"torn")
    polled.drop_cache()
    polled.receipts.add(ZOE)
    forgot = Forgetter(api.pipeline(polled)).carry_out()
    assert [type(error) for error in forgot.errors] == [LakeDamaged]
    assert ZOE in polled.receipts.open()
    assert f"unfinished  {ZOE.path}: `forget` without options carries it out" in findings(polled)
    assert not any(canary in record for record in raw(polled, ELEVEN) for canary in CANARIES)


# ---- receipts


def test_a_receipt_holds_nothing_of_the_person(polled: Lake) -> None:
    polled.receipts.add(ZOE)
    polled.receipts.end(ZOE, at(21), 4)
    for path in polled.store.list(FORGOTTEN):
        assert not holds(polled.store.get(path) or b"")
    assert polled.receipts.all() == [ZOE]
    assert not polled.receipts.open()


def test_a_damaged_receipt_stops_polls_and_is_named(api: Any, polled: Lake) -> None:
    """Else polls would bring the person back without a word."""
    polled.receipts.add(ZOE)
    path = ZOE.path
    content = polled.store.get(path) or b""
    polled.store.put(path, content.replace(b'"salt"', b'"salz"'))
    [outcome] = [o for o in api.run(polled, [Window(at(12))]) if isinstance(o, Failed)]
    assert path in str(outcome.error)
    assert "forget" in str(outcome.error)
    assert any(path in text and "altered" in text for text in findings(polled))


def test_files_of_receipts_that_are_lost_or_foreign_are_named(polled: Lake) -> None:
    polled.receipts.add(ZOE)
    polled.receipts.end(ZOE, at(21), 4)
    polled.store.put(f"{FORGOTTEN}/note.txt", b"")
    assert findings(polled) == [
        f"foreign     {FORGOTTEN}/note.txt: `rebuild` quarantines it",
    ]
    polled.store.delete(f"{FORGOTTEN}/note.txt")
    polled.store.delete(ZOE.path)
    [text] = findings(polled)
    assert text.startswith(f"missing     {ZOE.path}")
    polled.receipts.add(ZOE)
    polled.store.put(f"{ZOE.name}.ended", b"torn")
    assert polled.receipts.open() == [ZOE]
    polled.receipts.end(ZOE, at(21), 4)
    assert not polled.receipts.open()


def test_a_receipt_that_comes_meanwhile_is_carried_out_too(
    api: Any, polled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = receipt(reference(f"A-{TEN.number}"), hour=21)
    served, calls = polled.polls.served, []

    def reads(poll: Any) -> list[str]:
        if not calls:
            polled.receipts.add(other)
        calls.append(poll)
        return served(poll)

    with monkeypatch.context() as patch:
        patch.setattr(polled.polls, "served", reads)
        forget(api, polled, ZOE)
    assert all(blanked(record) == record for record in raw(polled))
    assert not polled.receipts.open()


# ---- each day


def test_a_day_later_a_poll_that_landed_beside_it_is_blanked(
    api_of: Any, api: Any, polled: Lake
) -> None:
    """A run that began before the receipt does not know of it."""
    pipeline, twelve = api.pipeline(polled), Window(at(12))
    unaware = pipeline.blanking()
    forget(api, polled, ZOE)
    pipeline.land(polled.names(), api.poll(twelve), unaware)
    bare = api_of(lambda w: [returned(f"Z-{w.number}", w.start, **BARE)]).poll(twelve)
    pipeline.land(polled.names(), bare, unaware)
    assert shown(polled) == [polled.polls.path(twelve, number) for number in (1, 2)]
    Forgetter(api.pipeline(polled)).keep_up()
    assert not shown(polled)
    assert not polled.receipts.open()


def test_old_records_are_blanked_and_young_ones_are_not(api_of: Any, polled: Lake) -> None:
    """By the end of their hour; the clock says 20:00."""
    before = counts(polled)
    api = api_of(reply, keep_raw=timedelta(hours=9))

    forgot = Forgetter(api.pipeline(polled)).keep_up()

    assert (forgot.records, forgot.polls, forgot.hours) == (3, 1, 1)
    assert all(blanked(record) == record for record in raw(polled))
    assert polled.polls.path(ELEVEN, 1) in shown(polled)
    assert not [path for path in shown(polled) if TEN.path in path]
    assert counts(polled) == before
    assert api.states(polled, HOURS) == ["complete", "complete"]
    assert not findings(polled)
    files = bytes_of(polled.store)
    assert not Forgetter(api.pipeline(polled)).keep_up().polls
    assert bytes_of(polled.store) == files
    assert Forgetter(api.pipeline(polled)).carry_out() == Forgot()


def test_an_old_hour_that_is_polled_again_is_blanked_as_it_lands(api_of: Any, polled: Lake) -> None:
    api = api_of(reply, keep_raw=timedelta(hours=9))
    Forgetter(api.pipeline(polled)).keep_up()
    files = bytes_of(polled.store)
    outcomes = api.run(polled, [TEN])
    assert [o.landed.kept for o in outcomes if isinstance(o, Polled)] == [False]
    assert bytes_of(polled.store) == files


def test_a_blank_poll_is_not_read_again_each_day(
    api_of: Any, polled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = api_of(reply, keep_raw=timedelta(hours=1))
    Forgetter(api.pipeline(polled)).keep_up()

    def never(*_: Any) -> None:
        pytest.fail("it was read")

    monkeypatch.setattr(polled.polls, "served", never)
    Forgetter(api.pipeline(polled)).keep_up()


def test_without_a_limit_nothing_is_looked_at(api: Any, polled: Lake) -> None:
    files = bytes_of(polled.store)
    assert Forgetter(api.pipeline(polled)).keep_up() == Forgot()
    assert bytes_of(polled.store) == files
