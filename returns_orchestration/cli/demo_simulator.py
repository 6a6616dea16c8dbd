"""What the demo's data come from: the simulator, which answers for ClickPost and sends webhooks."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from returns_orchestration.cli.demo_lake import folder
from returns_orchestration.errors import SettingsError
from returns_orchestration.simulator import (
    AddressTakenError,
    Dataset,
    Sender,
    Simulator,
    SimulatorOptions,
    WebhookOptions,
    Webhooks,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from returns_orchestration.window import Window

OPTIONS: Final = SimulatorOptions(returns_per_hour=6, shop=True)
WEBHOOKS: Final = WebhookOptions(loss=0.02, states=False)
"""The webhooks of its returns, a few of which are lost."""


def received(windows: Iterable[Window]) -> Iterator[Path]:
    """Files of the webhooks of some hours, as a receiver of these days would have written them.

    A file for each hour, so that a later demo imports those of its new hours only.
    """
    webhooks = Webhooks(Dataset(OPTIONS), WEBHOOKS)
    place = folder() / "received"
    place.mkdir(parents=True, exist_ok=True)
    for window in windows:
        events = webhooks.of_returns(window.start, window.end)
        lines = (
            json.dumps({"received_at": at.isoformat(), "body": event.body.decode()})
            for event in events
            for at in event.sent_at
        )
        file = place / f"{window.text.replace(':', '')}.ndjson"
        file.write_text("".join(f"{line}\n" for line in lines))
        yield file


@contextmanager
def receiver() -> Iterator[str]:
    """A receiver of webhooks in this process, and the simulator's sender to it; its address."""
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.receiver.serving import Address, Intake, serve  # noqa: PLC0415

    stop, started, ports = threading.Event(), threading.Event(), list[int]()

    def on_start(port: int) -> None:
        ports.append(port)
        started.set()

    def run() -> None:
        lake = Lake(open_store(str(folder() / "lake")))
        spool = folder() / "webhook_spool.db"
        serve(
            [Intake(lake=lake, keys=[OPTIONS.key], spool=spool)],
            Address("127.0.0.1", 0, "/clickpost"),
            spool_bytes=100_000_000,
            max_bytes=1_048_576,
            stop=stop,
            on_start=on_start,
        )

    with ThreadPoolExecutor(max_workers=1) as one:
        receiving = one.submit(run)
        try:
            while not started.wait(0.1):
                if receiving.done():
                    receiving.result()  # raises why it does not listen
            url = f"http://127.0.0.1:{ports[0]}/clickpost"
            webhooks = Webhooks(Dataset(OPTIONS), WEBHOOKS)
            sender = Sender(webhooks, url, OPTIONS.key, lambda: datetime.now(UTC))
            sender.start()
            try:
                yield url
            finally:
                sender.stop()
        finally:
            stop.set()
        receiving.result()


@contextmanager
def simulator(port: int = 0) -> Iterator[str]:
    """The simulator in this process, for every request that the settings send; its address."""
    try:
        with Simulator(OPTIONS).running(port=port) as base_url:
            os.environ["CLICKPOST_BASE_URL"] = base_url
            yield base_url
    except AddressTakenError as error:
        raise SettingsError(
            f"Port {error.port} is taken, and the simulator needs it.",
            next_step="Choose another with --simulator-port.",
        ) from None
