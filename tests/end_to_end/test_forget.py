"""`forget` as the person calls it who was asked for it, and what the daily job does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.world import HASTY, World, hours

from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.defs.prune import PRUNE
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.stages.erasure import people_in

DAY = hours("2026-11-07T00:00", "2026-11-07T04:00")
SCRIPT = str(Path(sys.executable).with_name("returns-orchestration"))


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    """Four hours, polled and made."""
    world = new_world(returns_per_hour=5, unusable=0.2)
    assert len(list(world.pipeline().run(DAY))) > len(DAY)
    return world


def people(world: World, kind: str) -> list[str]:
    """The addresses or numbers in all raw records."""
    found = set().union(*map(people_in, world.scan("raw_returns").get_column("record")))
    return sorted(one.partition(":")[2] for one in found if one.startswith(kind))


def given(world: World, *values: str) -> str:
    """A file with ``values``; its name."""
    (world.folder / "people.txt").write_text("\n".join([*values, "", ""]))
    return "people.txt"


def test_people_are_forgotten_and_nothing_says_who(world: World) -> None:
    emails = people(world, "email")[:2]
    files = world.files()
    asked = ("forget", "--email", given(world, *emails))

    looked = world.run(*asked, "--dry-run")
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert looked.stdout.startswith("Found: ")
    assert world.files() == files

    done = world.run(*asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Blanked " in done.stdout
    assert not any(email in done.stdout + done.stderr for email in emails)
    assert not set(emails) & set(people(world, "email"))
    assert world.run("verify").returncode == 0
    assert world.run("show", "--email", emails[0]).returncode == 1

    again = world.run(*asked)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Blanked 0 records" in again.stdout
    assert len(Lake(open_store(str(world.lake))).receipts.all()) == 1


def test_values_come_from_standard_input_too(world: World) -> None:
    phone = next(number for number in people(world, "phone") if number.strip("0"))
    done = subprocess.run(  # noqa: S603 - our own command
        [SCRIPT, "forget", "--phone", "-"],
        input=f"{phone}\n",
        env=world.environment_of_processes,
        cwd=world.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert phone not in people(world, "phone")


def test_a_value_that_no_record_holds_is_named_by_its_line(world: World) -> None:
    reference = world.scan("returns").get_column("return_reference_number")[0]
    asked = ("forget", "--reference", given(world, reference, "R-unknown"))
    done = world.run(*asked)
    assert done.returncode == 1
    assert "No record holds the value in line 2 of people.txt." in done.stdout
    assert "Blanked 1 record " in done.stdout
    assert world.run(*asked).returncode == 0  # it was noted, and is not asked about again


def test_wrong_calls_change_nothing(world: World) -> None:
    files = world.files()
    (world.folder / "mail.txt").write_text("no address")
    for asked, message in (
        (("--email", "mail.txt"), "line 1 of mail.txt"),
        (("--phone", "absent.txt"), "The file that --phone names cannot be read"),
        (("--phone", given(world, "9222222222, 9333333333")), "Not just one telephone number"),
        (("--phone", "-", "--email", "-"), "one kind only"),
        (("--dry-run",), "No value is given"),
    ):
        done = world.run("forget", *asked)
        assert done.returncode == 2, asked
        assert message in done.stderr
    empty = given(world)
    assert world.run("forget", "--email", empty).returncode == 2
    assert world.files() == files


def test_a_poll_that_cannot_be_read_is_named_and_the_rest_is_done(world: World) -> None:
    poll = min(world.lake.glob("raw_returns/*/*/*"))
    poll.write_bytes(poll.read_bytes()[:-9])
    reference = world.scan("returns").get_column("return_reference_number")[-1]
    done = world.run("forget", "--reference", given(world, reference))
    assert done.returncode == 1
    assert poll.name in done.stdout
    assert "forget` without options" in done.stdout
    assert world.run("rebuild", DAY[0].text, DAY[-1].next.text).returncode == 1
    finished = world.run("forget")
    assert finished.returncode == 0, finished.stdout
    assert "quarantined" in finished.stdout


def test_the_daily_job_blanks_old_records(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"RETURNS_RAW_DAYS": "30"}, returns_per_hour=3)
    list(World(world.folder, world.simulator, world.base_url).pipeline().run(DAY))
    assert people(world, "email")
    now = DAY[-1].end.replace(month=12, day=20)
    definitions = build_defs(world.settings, clock=lambda: now, retry=HASTY)
    with open_instance(world.settings) as instance:
        job = definitions.get_repository_def().get_job(PRUNE)
        done = job.execute_in_process(instance=instance, raise_on_error=False)
        assert done.success
    assert not people(world, "email")
    assert world.run("verify").returncode == 0
    assert world.run("status", DAY[0].text, DAY[-1].next.text).returncode == 0


def test_the_command_prune_blanks_old_records_too(world: World) -> None:
    done = world.run("prune", RETURNS_RAW_DAYS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Blanked " in done.stdout
    assert not people(world, "email")
    assert "Blanked" not in world.run("prune", RETURNS_RAW_DAYS="1").stdout
