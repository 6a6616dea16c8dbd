"""`show` as support calls it: a history in time order, no personal data, and unknown facts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.records import assigned, at, item, wire_time, with_additional
from support.world import World

from returns_orchestration.clickpost import Poll
from returns_orchestration.window import Window

SCRIPT = str(Path(sys.executable).with_name("returns-orchestration"))
REFERENCE = "R\x1b[31m-1"
HOUR = Window(at(11))
SEARCH = ("--from", "2026-11-09T10:00", "--to", "2026-11-09T13:00")
PICKUP = {"pickup_info": {"customer_email": "Asha@Example.com", "phone": "+91 90000-00000"}}
PERSONAL = ("Asha", "asha@", "90000", "Invented Road", "Stark Tower", "left with Asha")


def keep(world: World, minute: int, **changes: Any) -> None:
    """A poll of the hour that serves one return, as the API would."""
    head = {"return_reference_number": REFERENCE, "Return Request Timestamp": wire_time(at(11, 20))}
    additional = {"item_info": [item("SHIRT-M")], "customer_name": "Asha Example"}
    record = with_additional(additional, assigned(head, **changes))
    pipeline = world.pipeline()
    served = (json.dumps(record),)
    polled_at = at(12, minute)
    poll = Poll(HOUR, polled_at, served, 1, 1, 0, 0.1, null_result=False, damaged_text=0)
    pipeline.land(pipeline.lake.names(), poll)
    list(pipeline.run([HOUR], poll=False, missing_only=True))


def test_the_history_of_a_return_is_in_time_order_without_personal_data(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"RETURNS_START": "2026-11-09T00:00:00Z"})
    payload = {"remark": "left with Asha", "location": "Stark Tower"}
    keep(world, 10, status="NEW", webhook_payload=payload)
    keep(world, 40, status="APPROVED", refund_mode=None, webhook_payload=payload)

    done = world.run("show", REFERENCE, *SEARCH)

    assert done.returncode == 0, done.stdout + done.stderr
    story = done.stdout
    in_order = (
        "Return R\\x1b[31m-1",
        "It lives in the hour 2026-11-09T11:00 and the day 2026-11-09 (Asia/Kolkata)",
        "Kept polls that served it: 2.",
        "ClickPost answered for the hour 2026-11-09T11:00 2 times, the last at 2026-11-09 12:40",
        "2026-11-09 12:10:00  poll 1 of 2026-11-09T11:00",
        "status: NEW",
        "item 0: sku SHIRT-M, quantity 1",
        "2026-11-09 12:40:00  poll 2 of 2026-11-09T11:00",
        "status: NEW -> APPROVED",
        "refund_mode: Back to source -> not given (the row keeps the earlier value)",
        "The row in returns, hour 2026-11-09T11:00:",
        "From poll 2 of 2026-11-09T11:00 (the newest source wins), where no other source is named.",
        "status: APPROVED",
        "refund_mode: Back to source  [poll 1 of 2026-11-09T11:00: kept",
        "webhook_location: ***",
        "Merged by: the newest source wins; kept",
    )
    at_least = 0
    for part in in_order:
        found = story.find(part, at_least)
        assert found >= 0, part
        at_least = found
    assert not [word for word in PERSONAL if word in story]
    assert "\x1b" not in story
    assert max(map(len, story.splitlines())) < 160


def test_json_holds_the_same_facts_and_raw_the_records(new_world: Callable[..., World]) -> None:
    world = new_world({"RETURNS_START": "2026-11-09T00:00:00Z"})
    keep(world, 10, status="NEW")
    keep(world, 40, status="APPROVED")

    plain = world.run("show", REFERENCE, *SEARCH, "--json")
    raw = world.run("show", REFERENCE, *SEARCH, "--json", "--raw")

    found, whole = json.loads(plain.stdout), json.loads(raw.stdout)
    assert [(poll["number"], poll["said"]["status"]) for poll in found["polls"]] == [
        (1, "NEW"), (2, "APPROVED"),
    ]  # fmt: skip
    assert found["polls"][1]["changed"]["status"] == ["NEW", "APPROVED"]
    (row,) = found["rows"]
    assert (row["hour"], row["as_served"]) == ("2026-11-09T11:00", True)
    assert row["origins"]["status"]["number"] == 2
    assert row["row"]["webhook_location"] == "***"
    assert not [word for word in PERSONAL if word in plain.stdout]
    assert "Asha Example" in whole["polls"][0]["records"][0]
    assert whole["rows"][0]["row"]["webhook_location"].startswith("Stark Tower")


def test_an_unknown_return_names_the_hours_that_are_missing(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"RETURNS_START": "2026-11-09T00:00:00Z"})
    keep(world, 10)

    done = world.run("show", "R-2", *SEARCH)

    assert done.returncode == 1
    assert (
        "No poll or webhook of the hours 2026-11-09T10:00 to 2026-11-09T13:00 has R-2."
        in done.stdout
    )
    assert "2 hours are missing" in done.stdout
    assert "2026-11-09T10:00 to 2026-11-09T11:00" in done.stdout
    found = json.loads(world.run("show", "R-2", *SEARCH, "--json").stdout)
    assert (found["known"], found["missing"]) == (False, ["2026-11-09T10:00", "2026-11-09T12:00"])


def test_a_search_of_no_hour_is_a_usage_error(new_world: Callable[..., World]) -> None:
    world = new_world({"RETURNS_START": "2026-11-09T00:00:00Z"})
    done = world.run("show", "R-2", "--from", "2026-11-09T10:00", "--to", "2026-11-09T10:00")
    assert done.returncode == 2
    assert "There is no hour to search" in done.stderr


def test_an_address_or_a_number_leads_to_the_returns_that_hold_it(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"RETURNS_START": "2026-11-09T00:00:00Z"})
    keep(world, 10, status="NEW", webhook_payload=PICKUP)
    keep(world, 40, status="APPROVED", webhook_payload=PICKUP)
    keep(world, 50, **{"Return Request Timestamp": "soon"}, webhook_payload=PICKUP)

    for asked in (("--email", "asha@example.com"), ("--phone", "9000000000")):
        done = world.run("show", *asked, *SEARCH)
        assert done.returncode == 0, done.stdout + done.stderr
        first, line, rejected, last = done.stdout.splitlines()
        assert first == "1 return of the hours 2026-11-09T10:00 to 2026-11-09T13:00 holds it:"
        assert line == (
            "  R\\x1b[31m-1  requested 2026-11-09 11:20, 2 records in 2 polls, the last poll 2 of "
            "2026-11-09T11:00"
        )
        assert rejected == "1 record in rejected_returns, hours 2026-11-09T11:00"
        assert "--raw" in last
        assert asked[1] not in done.stdout
    piped = subprocess.run(  # noqa: S603 - our own command
        [SCRIPT, "show", "--email", "-", *SEARCH],
        input="asha@example.com\n",
        env=world.environment_of_processes,
        capture_output=True,
        text=True,
        check=True,
    )
    assert line in piped.stdout
    records = json.loads(
        world.run("show", "--email", "asha@example.com", *SEARCH, "--json").stdout
    )["records"]
    assert [(r["poll"], r["reference"]) for r in records] == [
        (1, REFERENCE),
        (2, REFERENCE),
        (3, REFERENCE),
    ]


def test_quarantined_files_are_searched_too(new_world: Callable[..., World]) -> None:
    world = new_world({"RETURNS_START": "2026-11-09T00:00:00Z"})
    keep(world, 10, status="NEW", webhook_payload=PICKUP)
    (poll,) = world.lake.glob("raw_returns/**/poll-0001.parquet")
    copy = world.lake / "_quarantine" / f"{poll.relative_to(world.lake)}.0a1b2c3d"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(poll.read_bytes())
    copy.with_name("poll-0002.parquet.0a1b2c3d").write_bytes(b"torn")

    done = world.run("show", "--email", "asha@example.com", *SEARCH)

    assert done.returncode == 1  # one file cannot be read
    assert f"Quarantined, and holds it: {copy.relative_to(world.lake)}" in done.stdout
    assert "poll-0002.parquet.0a1b2c3d cannot be read; it may hold some." in done.stdout


def test_an_address_that_nothing_holds_and_wrong_calls(new_world: Callable[..., World]) -> None:
    world = new_world({"RETURNS_START": "2026-11-09T00:00:00Z"})
    keep(world, 10, status="NEW")
    absent = world.run("show", "--email", "nobody@example.com", *SEARCH)
    assert absent.returncode == 1
    assert absent.stdout.startswith("No kept poll of the hours 2026-11-09T10:00 to ")
    for wrong in (("--email", "nobody"), ("--phone", "12"), (), ("R1", "--email", "a@b.c")):
        done = world.run("show", *wrong, *SEARCH)
        assert done.returncode == 2, wrong
        assert "returns-orchestration: " in done.stderr


def test_what_is_held_of_a_person_is_found_in_the_whole_lake(
    new_world: Callable[..., World],
) -> None:
    """Also before RETURNS_START as it is by now, and in the hour that is not over."""
    world = new_world({"RETURNS_START": "2026-11-09T00:00:00Z"})
    keep(world, 10, status="NEW", webhook_payload=PICKUP)
    done = world.run("show", "--email", "asha@example.com", RETURNS_START="2026-11-20T00:00:00Z")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 return of the hours" in done.stdout
