"""A person is blanked in webhooks as in polls: received before, waiting in a spool, or later."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from flow.conftest import FakeApi
from obstore.store import MemoryStore
from support.lakes import bytes_of
from support.mortal_store import Killed, MortalStore
from support.records import Record, at, returned
from support.webhooks import pipeline, received, rows, webhook

from returns_orchestration import tables
from returns_orchestration.flow.forget import Forgetter, Forgot
from returns_orchestration.flow.webhooks.blanking import blanking_as_received
from returns_orchestration.lake import Lake
from returns_orchestration.lake.forgotten import Receipt, hashed
from returns_orchestration.lake.quarantine import copy_to_quarantine
from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.lake.webhooks import path_of
from returns_orchestration.receiver.app import Counts
from returns_orchestration.receiver.drain import Drain
from returns_orchestration.receiver.spool import Spool
from returns_orchestration.receiver.spool_tables import Delivery
from returns_orchestration.stages.erasure import email, reference
from returns_orchestration.state.people import find_holdings, whole_span
from returns_orchestration.window import Window

HOUR = Window(at(11))
SALT = "0f" * 16
CANARIES = ("zoe.canary", "Canary Street", "Zoe Canary")
NOW = at(20)


def zoe(name: str, **changes: Any) -> Record:
    payload = {
        "location": "7 Canary Street",
        "remark": "Zoe Canary was not in",
        "customer_name": "Zoe Canary",
        "pickup_info": {"customer_email": "zoe.canary@example.org"},
    }
    return returned(name, at(11, 10), webhook_payload=payload | changes)


def receipt(*people: str) -> Receipt:
    hashes = sorted(hashed(person, bytes.fromhex(SALT)) for person in people)
    return Receipt(at=NOW, salt=SALT, hashes=hashes)


ZOE = receipt(email("zoe.canary@example.org"))
BINARY = "zoe.canary@example.org é".encode("latin-1")


def many(lake: Lake, **options: Any) -> Any:
    found = FakeApi(lambda _: [zoe("Z"), returned("A", at(11, 10))], **options).pipeline(lake)
    found.webhooks = pipeline(lake, NOW)
    return found


def forget(lake: Lake, *receipts: Receipt, **options: Any) -> Forgot:
    for one in receipts:
        lake.receipts.add(one)
    forgot = Forgetter(many(lake, **options)).carry_out()
    assert not forgot.errors, forgot.errors
    return forgot


def shown(lake: Lake) -> list[str]:
    """The files that show the person, outside the poll's own tables."""
    found = []
    for path, content in bytes_of(lake.store).items():
        text = str(content)
        if path.endswith(".parquet") or "/_quarantine/" in f"/{path}":
            text = pl.read_parquet(content or b"").write_json()
        if any(canary in text for canary in CANARIES):
            found.append(path)
    return found


@pytest.fixture
def full(lake: Lake) -> Lake:
    """Webhooks of the person and of another one, in both shapes, usable and not."""
    received(
        lake,
        (at(11, 11), webhook(zoe("Z"))),
        (at(11, 12), webhook(zoe("Z"), wrapped=True, clickpost_status_code=102)),
        (at(11, 13), webhook(returned("A", at(11, 10)))),
        (at(11, 14), b'{"additional": {"is_rvp": true}, "note": "zoe.canary@example.org"}'),
        (at(11, 15), b"zoe.canary@example.org, no JSON"),
        (at(11, 16), BINARY),
        (at(12, 1), webhook(zoe("Z2"))),
    )
    pipeline(lake, NOW).run()
    assert shown(lake)
    return lake


def counts(lake: Lake) -> list[Any]:
    names = lake.names()
    hours = (HOUR, HOUR.next)
    of_receipt = [lake.made(hour, names, "events") for hour in hours]
    columns = ("return_reference_number", "verdict", "deliveries", "lag_s")
    matches = [[row[c] for c in columns] for row in rows(lake, tables.WEBHOOK_MATCHES, [HOUR])]
    return [*(made.facts for made in of_receipt if made), matches]


def test_a_person_is_in_no_file_and_every_count_stays(full: Lake) -> None:
    before = counts(full)
    forgot = forget(full, ZOE)
    assert shown(full) == []
    assert counts(full) == before
    assert forgot.webhooks == 2
    others = rows(full, tables.WEBHOOK_EVENTS, [HOUR])
    assert [row["remark"] for row in others] == ["Return Order Placed", None, None]


def test_what_is_not_the_persons_stays_byte_for_byte(full: Lake) -> None:
    raw = full.webhooks.read(full.names().hour(HOUR).received[0])
    forget(full, ZOE)
    after = full.webhooks.read(full.names().hour(HOUR).received[0])
    assert after.row(2) == raw.row(2)
    assert after.drop("body", "encoding").equals(raw.drop("body", "encoding"))


def test_twice_is_once(full: Lake) -> None:
    forget(full, ZOE)
    before = bytes_of(full.store)
    forgot = forget(full)
    assert (forgot.records, forgot.webhooks) == (0, 0)
    assert bytes_of(full.store) == before


def test_a_reference_means_its_webhooks_too(full: Lake) -> None:
    forget(full, receipt(reference("Z2")))
    assert not [path for path in shown(full) if "hour=12" in path]
    assert [path for path in shown(full) if "hour=11" in path]


def test_other_webhooks_of_a_return_that_a_poll_shows_are_the_persons(lake: Lake) -> None:
    """The webhook has a name, and neither address nor number; the poll has the address."""
    body = json.loads(webhook(zoe("Z")))
    body["pickup_info"] = {"customer_name": "Zoe Canary"}
    received(lake, (at(11, 11), json.dumps(body).encode()))
    list(many(lake).run([HOUR]))
    pipeline(lake, NOW).run()
    forget(lake, ZOE)
    assert shown(lake) == []


def test_quarantined_files_are_blanked(full: Lake) -> None:
    (entry,) = full.names().hour(HOUR).received
    copy_to_quarantine(full.store, path_of(HOUR, entry.instance, entry.first))
    for table in (tables.WEBHOOK_EVENTS, tables.REJECTED_WEBHOOKS):
        copy_to_quarantine(full.store, full.path(table, HOUR))
    forget(full, ZOE)
    assert shown(full) == []
    kept = [path for path in bytes_of(full.store) if path.startswith("_quarantine/")]
    assert len(kept) == 3


def test_killed_anywhere_it_is_completed() -> None:
    for point in range(200):
        remote = MemoryStore()
        lake = Lake(ObjectStore(remote, "memory://lake"), lambda: NOW)
        received(lake, (at(11, 11), webhook(zoe("Z"))), (at(12, 1), webhook(zoe("Z2"))))
        pipeline(lake, NOW).run()
        before = counts(lake)
        try:
            forget(Lake(MortalStore(remote, point), lambda: NOW), ZOE)
        except Killed:
            has_died = True
        else:
            has_died = False
        again = Lake(ObjectStore(remote, "memory://lake"), lambda: NOW)
        forget(again, *(() if again.receipts.all() else (ZOE,)))
        pipeline(again, NOW).run()
        assert shown(again) == [], point
        assert counts(again) == before, point
        if not has_died:
            break
    assert point > 5


def test_old_webhooks_are_blanked_and_those_of_an_old_hour_that_come_later(full: Lake) -> None:
    keeps = {"keep_raw": timedelta(hours=2)}
    before = counts(full)
    Forgetter(many(full, **keeps)).keep_up()
    assert shown(full) == []
    assert counts(full) == before
    looked = bytes_of(full.store)
    assert Forgetter(many(full, **keeps)).keep_up().webhooks == 0
    assert bytes_of(full.store) == looked
    received(full, (at(11, 40), webhook(zoe("Z3"))), first=90)
    assert Forgetter(many(full, **keeps)).keep_up().webhooks == 1
    assert shown(full) == []


def test_what_arrives_later_is_blanked_as_it_lands(tmp_path: Path, full: Lake) -> None:
    """Some wait in the spool while the person is forgotten; some come weeks after."""
    forget(full, ZOE)
    blank = blanking_as_received(full, many(full).reader, None, lambda: NOW)
    later = at(11, 20) + timedelta(days=20)
    with Spool(tmp_path / "spool.db", 10_000_000) as spool:

        async def fill() -> None:
            loop = asyncio.get_running_loop()
            for when, body in (
                (at(11, 30), webhook(zoe("Z"))),
                (later, webhook(zoe("Z", clickpost_status_code=8))),
                (later, webhook(returned("B", at(11, 10)))),
            ):
                microseconds = round(when.timestamp() * 1e6)
                assert await spool.put(Delivery(microseconds, "", False, body), loop)  # noqa: FBT003

        asyncio.run(fill())
        Drain(spool, full, Counts(), blank=blank).drain()
        assert spool.waiting() == 0
    assert shown(full) == []
    kept = full.webhooks.read(full.names().hour(Window.of(later)).received[0])
    assert kept.get_column("body").to_list()[1].encode() == webhook(returned("B", at(11, 10)))


def test_a_new_order_of_the_same_person_is_kept(full: Lake) -> None:
    forget(full, ZOE)
    blank = blanking_as_received(full, many(full).reader, None, lambda: NOW)
    when = NOW + timedelta(days=30)
    order = zoe("N") | {"Return Request Timestamp": when.isoformat()}
    body = webhook(order, request_placed_time=when.isoformat())
    received(full, (when, body), first=500)
    raw = full.webhooks.read(full.names().hour(Window.of(when)).received[0])
    assert blank(Window.of(when), raw).equals(raw)


def test_what_is_held_of_a_person_includes_webhooks(full: Lake) -> None:
    found = find_holdings(
        full, many(full).reader, [email("zoe.canary@example.org")], whole_span(full)
    )
    assert sorted((held.window, held.position) for held in found.records) == [
        (HOUR, 1), (HOUR, 2), (HOUR, 4), (HOUR, 5), (HOUR, 6), (HOUR.next, 7)
    ]  # fmt: skip
    assert {held.instance for held in found.records} == {"0a1b2c3d"}
    forget(full, ZOE)
    assert not find_holdings(
        full, many(full).reader, [email("zoe.canary@example.org")], whole_span(full)
    ).records
