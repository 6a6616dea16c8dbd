"""`forget` is killed again and again; then nobody it was given is in any file, and all counts stay.

A lake of two days and two rounds of polls, with records that cannot be used and a damaged poll in
quarantine, and with webhooks, of which some wait in the receiver's spool. People are named by
reference, address or number. Afterwards `verify` finds nothing, `rebuild` writes the same bytes,
and neither polls that serve the same people again nor later webhooks bring them back. The counts
are those of another lake, which has had the same polls and webhooks and knows nothing of `forget`.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from proof.corruption import findings
from proof.result import Result
from proof.search import ANYWHERE, Search
from proof.warm import TOO_LONG, Warm, said
from support.lakes import OF_ALL_TIME, tables_of
from support.receivers import spooled
from support.webhooks import received
from support.world import World, hours

from returns_orchestration import tables
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.simulator import (
    Simulator,
    SimulatorOptions,
    WebhookOptions,
    Webhooks,
)
from returns_orchestration.stages.erasure import PERSONAL_COLUMNS
from returns_orchestration.window import Window

HOURS = hours("2026-11-06T00:00", "2026-11-08T00:00")
FEWEST_HOURS = 8
RETURNS_FOR_A_KILL = 100
PEOPLE = 20
LATER_SHARE = 0.2
"""Of the webhooks: half of these wait in the spool meanwhile, half come when all is done."""

ANYWHERE_SHARE = 0.2
AFTER_A_STEP = 0.1
"""Seconds; a poll is blanked in a hundredth of one, and an hour made in a few."""

EMAIL = re.compile(r"[a-z.0-9]+@customer\.example\.com")
PHONE = re.compile(r"\+91-00000-(?!00000)[0-9]{5}")
KINDS = ("reference", "email", "phone")


def forgotten(kills: int, seed: int) -> Result:
    """At least ``kills`` kills over a hundred times as many returns."""
    dice, result, at_work = random.Random(seed), Result(seed), 0
    windows = HOURS[: FEWEST_HOURS + kills]
    simulator = Simulator(
        SimulatorOptions(
            seed=dice.randrange(1_000_000),
            returns_per_hour=kills * RETURNS_FOR_A_KILL / len(windows),
            rhythm=False,
            unusable=0.03,
            late_share=0.3,
            late_by=(timedelta(hours=1), timedelta(hours=40)),
        )
    )
    commands = Warm()
    with tempfile.TemporaryDirectory() as name, simulator.running() as base_url:
        world = World(Path(name), simulator, base_url)
        result.faults += _filled(world, commands, windows, dice)
        later, alone = _received(world, windows, dice)
        span = _received_in(windows)
        result.faults += filter(None, [commands.run(world, "rebuild", *span)])
        given, canaries = _people(world, alone, dice)
        if not any("_quarantine" in file for file in _found(world, canaries)):
            result.faults.append("the search does not find who is there")
        before = _of_another_lake(world, commands, span, later)
        spooled(world.settings.spool, later[::2])
        arguments = ["forget"]
        for kind, values in given.items():
            (world.folder / kind).write_text("\n".join(values))
            arguments += [f"--{kind}", kind]
        while result.tried < kills:
            before_it, was_killed = _journal(world), _was_killed(world, commands, arguments, dice)
            result.tried += was_killed
            at_work += was_killed and _journal(world) != before_it
        result.faults += filter(None, [commands.run(world, *arguments)])
        result.faults += _wrong(world, commands, windows, canaries)
        spooled(world.settings.spool, later[1::2])
        result.faults += _brought_back(world, commands, windows, canaries, before)
        rows = {name: f"{before[name].height:,}" for name in before}
    result.notes = (
        f"{sum(map(len, given.values()))} people in {rows['returns']} returns, "
        f"{rows['raw_returns']} records and {rows['raw_webhooks']} webhooks, {len(later):,} of "
        f"them in the spool or later; {at_work} kills after a step of the erasure"
    )
    return result


def _filled(
    world: World, commands: Warm, windows: list[Window], dice: random.Random
) -> Iterator[str]:
    """Poll every hour twice; quarantine a poll in which bits have flipped; poll its hour again."""
    span = windows[0].text, windows[-1].next.text
    first, later = windows[-1].end + timedelta(hours=2), windows[-1].end + timedelta(hours=60)
    world.set_clock(lambda: first)
    yield from filter(None, [commands.run(world, "backfill", *span)])
    world.set_clock(lambda: later)
    yield from filter(None, [commands.run(world, "backfill", *span, "--repoll")])
    poll = dice.choice(sorted(world.lake.glob("raw_returns/*/*/*")))
    content = bytearray(poll.read_bytes())
    content[-9 - int.from_bytes(content[-8:-4], "little")] ^= 1  # in its seal: it stays readable
    poll.write_bytes(content)
    commands.run(world, "rebuild", *span)  # which exits with 1: that hour is to be polled again
    yield from filter(None, [commands.run(world, "backfill", *span)])
    yield from filter(None, [commands.run(world, "rebuild", *span)])  # for the table of all time


def _received_in(windows: list[Window]) -> tuple[str, str]:
    """The span in which webhooks about returns of ``windows`` came: an hour more."""
    return windows[0].text, windows[-1].next.next.text


def _received(
    world: World, windows: list[Window], dice: random.Random
) -> tuple[list[tuple[datetime, bytes]], set[str]]:
    """Put most webhooks of all returns into the lake; gives the others, to be received later.

    Also the addresses that stand in a body which names no return.
    """
    options = WebhookOptions(twice=0.1, states=False)
    events = Webhooks(world.simulator.dataset, options).of_returns(
        windows[0].start, windows[-1].end
    )
    sent = [(at, event.body) for event in events for at in event.sent_at]
    alone = set[str]()
    for at, body in dice.sample(sent, 9):
        (email,) = dice.sample(sorted(set(EMAIL.findall(body.decode()))) or [""], 1)
        alone.add(email)
        sent.append((at, f"no JSON, from {email}".encode()))
    sent.sort()
    later = [one for one in sent if dice.random() < LATER_SHARE]
    received(Lake(open_store(str(world.lake))), *(one for one in sent if one not in later))
    return later, alone


def _of_another_lake(
    world: World,
    commands: Warm,
    span: tuple[str, str],
    later: Sequence[tuple[datetime, bytes]],
) -> dict[str, pl.DataFrame]:
    """What the tables hold where nobody is forgotten."""
    with tempfile.TemporaryDirectory() as name:
        other = World(Path(name), world.simulator, world.base_url)
        shutil.copytree(world.lake, other.lake)
        received(Lake(open_store(str(other.lake))), *later, instance="00000001")
        assert not (fault := commands.run(other, "rebuild", *span)), fault
        return _counted(other)


def _people(
    world: World, alone: set[str], dice: random.Random
) -> tuple[dict[str, list[str]], list[str]]:
    """The values to be forgotten, by their kind, and what must not be found of them.

    By reference only those whose address and number no other return has, nor a body of ``alone``:
    a reference does not mean that one.
    """
    emails: dict[str, set[str]] = {}
    phones: dict[str, set[str]] = {}
    for record in world.scan("raw_returns").get_column("record"):
        own = str(json.loads(record).get(tables.REFERENCE.key))
        for pattern, found in ((EMAIL, emails), (PHONE, phones)):
            for value in pattern.findall(record):
                found.setdefault(value, set()).add(own)
    by_email = {min(of): e for e, of in emails.items() if len(of) == 1 and e not in alone}
    by_phone = {min(of): phone for phone, of in phones.items() if len(of) == 1}
    references = dice.sample(sorted(by_email.keys() & by_phone.keys() - {"None"}), PEOPLE - 14)
    [bad] = world.lake.glob("_quarantine/raw_returns/*/*/*")
    there = EMAIL.findall(pl.read_parquet(bad).write_json())
    given = {
        "reference": references,
        "email": [*dice.sample(sorted(emails), 6), dice.choice(there)],
        "phone": dice.sample(sorted(phones), 7),
    }
    found = [by_email[own] for own in references] + [by_phone[own] for own in references]
    return given, found + given["email"] + given["phone"]


def _found(world: World, canaries: list[str]) -> list[str]:
    """The files below the world's folder that hold a canary, but for those given to it."""

    def given(file: Path) -> frozenset[str]:
        return ANYWHERE if file.name in KINDS else frozenset()

    return sorted(set(Search(set(canaries), coded=False).below(world.folder, given)))


def _counted(world: World) -> dict[str, pl.DataFrame]:
    """The tables, without what may be blanked in them."""
    made = (
        *tables.MADE_HOURLY,
        *tables.MADE_DAILY,
        *tables.WEBHOOKS_RECEIVED,
        *tables.WEBHOOKS_MATCHED,
        *tables.WEBHOOKS_DAILY,
    )
    found = {table.name: world.scan(table.name) for table in made}
    found["raw_webhooks"] = _of_any_receiver(world.scan("raw_webhooks"))
    found["rejected_webhooks"] = _of_any_receiver(found["rejected_webhooks"])
    found["webhook_events"] = found["webhook_events"].drop("remark", "quality", strict=False)
    found["raw_returns"] = world.scan("raw_returns").drop("record")
    for name in ("returns", "returns_daily"):
        found[name] = found[name].drop(PERSONAL_COLUMNS, "quality")
    found["rejected_returns"] = found["rejected_returns"].drop("record")
    return found


def _of_any_receiver(deliveries: pl.DataFrame) -> pl.DataFrame:
    personal = ["body", "encoding"]
    plain = deliveries.drop("instance", "position", *personal)
    return plain.sort(plain.columns)


def _journal(world: World) -> set[str]:
    """The entries, which change with each step of an erasure."""
    return {path.name for path in world.lake.glob("_journal/*/*")}


def _was_killed(world: World, commands: Warm, arguments: list[str], dice: random.Random) -> bool:
    """Start the command and kill it just after a step, or sometimes anywhere; whether it lived."""
    process, before = commands.start(world, *arguments), _journal(world)
    seconds = dice.uniform(0, 3) if dice.random() < ANYWHERE_SHARE else TOO_LONG
    deadline = time.monotonic() + seconds
    while process.exitcode is None and time.monotonic() < deadline and _journal(world) == before:
        process.join(0.002)
    process.join(dice.uniform(0, AFTER_A_STEP))
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def _wrong(
    world: World, commands: Warm, windows: list[Window], canaries: list[str]
) -> Iterator[str]:
    yield from (f"still there: {file}" for file in _found(world, canaries))
    if Lake(open_store(str(world.lake))).receipts.open():
        yield "a receipt is open"
    yield from (finding.text for finding in findings(world))
    made = tables_of(world.files())
    yield from filter(None, [commands.run(world, "rebuild", *_received_in(windows))])
    yield from (
        f"`rebuild` writes {path}"
        for path, _ in made.items() ^ tables_of(world.files()).items()
        if not path.startswith(OF_ALL_TIME)  # which are made once a day
    )


def _brought_back(
    world: World,
    commands: Warm,
    windows: list[Window],
    canaries: list[str],
    before: dict[str, pl.DataFrame],
) -> Iterator[str]:
    """What is wrong after polls and webhooks that bring the same people again."""
    polled, span = world.scan("raw_returns").height, (windows[0].text, windows[-1].next.text)
    yield from filter(None, [commands.run(world, "backfill", *span, "--repoll")])
    yield from () if "Blanked 0 records" in _again(world, commands) else ("`forget` found more",)
    yield from (f"brought back: {file}" for file in _found(world, canaries))
    yield from _changed(before, _counted(world))
    if world.scan("raw_returns").height != polled:
        yield "a poll that brought nothing new was kept"


def _again(world: World, commands: Warm) -> str:
    fault = commands.run(world, "forget")
    return fault or said(world)


def _changed(before: dict[str, pl.DataFrame], after: dict[str, pl.DataFrame]) -> Iterator[str]:
    yield from (f"{name} is another" for name in before if not before[name].equals(after[name]))
