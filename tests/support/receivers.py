"""A receiver of webhooks in this process, on loopback, with a real spool and a real lake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import polars as pl

from returns_orchestration import tables
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.lake.webhooks import body_of
from returns_orchestration.receiver.serving import Address, Intake, serve
from returns_orchestration.receiver.spool import Spool
from returns_orchestration.receiver.spool_tables import Delivery

KEY = "key-of-clickpost"


@dataclass
class Listening:
    """A receiver that listens at ``url``."""

    url: str
    folder: Path
    spool: Path
    client: httpx.Client

    def post(self, body: bytes, **headers: str) -> httpx.Response:
        """Deliver ``body`` with the right key."""
        return self.client.post(self.url, content=body, headers={"webhook_key": KEY, **headers})


@contextmanager
def listening(
    folder: Path,
    *,
    keys: tuple[str, ...] = (KEY,),
    spool: Path | None = None,
    spool_bytes: int = 100_000_000,
    max_bytes: int = 100_000,
    drain_seconds: float = 3600,
) -> Iterator[Listening]:
    """Receive into ``folder``/lake; at the end all is drained."""
    stop, ports, started = threading.Event(), list[int](), threading.Event()
    spool = spool or folder / "spool.db"

    def on_start(port: int) -> None:
        ports.append(port)
        started.set()

    failures: list[BaseException] = []

    def run() -> None:
        try:
            serve(
                [Intake(lake=Lake(open_store(str(folder / "lake"))), keys=keys, spool=spool)],
                Address("127.0.0.1", 0, "/clickpost"),
                spool_bytes=spool_bytes,
                max_bytes=max_bytes,
                stop=stop,
                on_start=on_start,
                drain_seconds=drain_seconds,
            )
        except BaseException as error:  # noqa: BLE001 - raised where the test waits
            failures.append(error)
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(30)
    try:
        if failures:
            raise failures[0]
        url = f"http://127.0.0.1:{ports[0]}/clickpost"
        with httpx.Client(timeout=30) as client:
            yield Listening(url, folder / "lake", spool, client)
    finally:
        stop.set()
        thread.join()


def spooled(path: Path, webhooks: Iterable[tuple[datetime, bytes]]) -> None:
    """Leave ``webhooks`` in a spool, as a receiver that was killed right after its answers."""

    async def fill(spool: Spool) -> None:
        loop = asyncio.get_running_loop()
        for at, body in webhooks:
            delivery = Delivery(round(at.timestamp() * 1e6), "application/json", False, body)  # noqa: FBT003
            assert await spool.put(delivery, loop)

    with Spool(path, 1_000_000_000) as spool:
        asyncio.run(fill(spool))


def deliveries(lake: Path | str) -> pl.DataFrame:
    """All rows of raw_webhooks, in the order of their receipt at each receiver."""
    store = open_store(str(lake))
    paths = [path for path in store.list(tables.RAW_WEBHOOKS.name) if path.endswith(".parquet")]
    frames = [pl.read_parquet(store.get(path) or b"") for path in paths]
    return pl.concat([tables.RAW_WEBHOOKS.empty(), *frames]).sort("instance", "position")


def bodies(lake: Path | str) -> list[bytes]:
    """The body of each delivery, as received."""
    rows = deliveries(lake).select("body", "encoding").rows()
    return [body_of(text, encoding) for text, encoding in rows]
