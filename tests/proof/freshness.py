"""Minutes from an answer 200 to the tables, with the services: `python -m proof.freshness`.

So many webhooks at random moments, each about a new return that no poll has; the receiver, the code
server, the daemon and the webserver run as their units say. LIMIT was set before.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import typer
from support.receive_process import free_port
from support.receivers import KEY
from support.records import returned
from support.supervisor import supervised, wait_for
from support.webhooks import webhook
from support.world import World

from returns_orchestration import tables
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.window import Window

LIMIT = timedelta(minutes=8)
LONGEST_GAP = 90.0
"""Seconds between one webhook and the next, at most."""

LOOK_SECONDS = 1.0


class Receiving:
    """A deployment with a receiver."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._port = free_port()
        world.variables |= {
            "RETURNS_WEBHOOK_KEYS": KEY,
            "RETURNS_WEBHOOK_LISTEN": f"127.0.0.1:{self._port}",
        }
        self.answered: dict[str, datetime] = {}
        """By reference, when its webhook was answered with 200."""

    @property
    def is_up(self) -> bool:
        """Whether the receiver answers."""
        try:
            address = f"http://127.0.0.1:{self._port}/health"
            return httpx.get(address, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def post(self, reference: str) -> bytes:
        """Deliver the webhook that a return was placed just now; gives its body."""
        body = webhook(returned(reference, datetime.now(UTC)))
        answer = httpx.post(
            f"http://127.0.0.1:{self._port}/clickpost",
            content=body,
            headers={"webhook_key": KEY},
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        self.answered[reference] = datetime.now(UTC)
        return body

    def in_tables(self) -> set[str]:
        """The references of the running hour and the one before that are in `returns`."""
        lake, now = Lake(open_store(str(self._world.lake))), Window.of(datetime.now(UTC))
        names, found = lake.names(), set[str]()
        for window in (now.previous, now):
            frame = lake.read(tables.RETURNS, window, names)
            found |= set() if frame is None else set(frame.get_column(tables.REFERENCE.name))
        return found


def minutes_to_tables(webhooks: int, seed: int) -> list[float]:
    """How long each of so many webhooks took."""
    dice, pause = random.Random(seed), threading.Event()
    simulator = Simulator(SimulatorOptions(returns_per_hour=4, rhythm=False, oddities=0))
    with tempfile.TemporaryDirectory() as name, simulator.running() as base_url:
        start = f"{datetime.now(UTC) - timedelta(hours=6):%Y-%m-%dT%H:00}"
        world = World(Path(name), simulator, base_url, {"RETURNS_START": start})
        receiving, took = Receiving(world), dict[str, float]()
        gaps = [dice.uniform(0, LONGEST_GAP) for _ in range(webhooks)]

        def send() -> None:
            for number, gap in enumerate(gaps):
                pause.wait(gap)
                receiving.post(f"FRESH-{number}")

        with supervised(world, free_port(), world.folder / "services.log"):
            wait_for("the receiver answers", lambda: receiving.is_up)
            sender = threading.Thread(target=send)
            sender.start()
            until = datetime.now(UTC) + timedelta(seconds=sum(gaps)) + 2 * LIMIT
            while len(took) < webhooks and datetime.now(UTC) < until:
                for reference in receiving.in_tables() & receiving.answered.keys() - took.keys():
                    passed = datetime.now(UTC) - receiving.answered[reference]
                    took[reference] = passed / timedelta(minutes=1)
                pause.wait(LOOK_SECONDS)
            sender.join()
    return sorted(took.values())


def main(webhooks: int = 20, seed: int = 1) -> int:
    """1 where a webhook took longer than LIMIT, or never came."""
    took = minutes_to_tables(webhooks, seed)
    typer.echo(f"{len(took)} of {webhooks} webhooks are in the tables.")
    if took:
        middle = statistics.median(took)
        typer.echo(f"Minutes: {took[0]:.1f} the fastest, {middle:.1f} half, {took[-1]:.1f} all.")
    return 0 if len(took) == webhooks and took[-1] <= LIMIT / timedelta(minutes=1) else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
