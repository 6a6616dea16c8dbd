"""The receiver as a process: spool, application and drain together, until it is told to stop."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import uvicorn

from returns_orchestration.errors import SettingsError
from returns_orchestration.receiver.app import ByAccount, InFlight, Receiver
from returns_orchestration.receiver.connection import BoundedConnection
from returns_orchestration.receiver.drain import DRAIN_SECONDS, Drain
from returns_orchestration.receiver.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from returns_orchestration.lake import Lake
    from returns_orchestration.lake.webhooks import Blank

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than a proxy keeps an idle connection (nginx: 60), so that the proxy closes it."""

ANSWER_SECONDS: Final = 5
"""How long requests may take that were begun before the stop."""

LAST_DRAIN_SECONDS: Final = 12.0
"""With the answers less than 20 seconds, after which a service manager kills."""

WATCH_SECONDS: Final = 0.2
BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What is received for one account: its keys, its spool, its lake; ``blank`` is for Drain.

    ``account`` is "" where there is only one.
    """

    lake: Lake
    keys: Sequence[str]
    spool: Path
    blank: Blank | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the receiver listens, and under which path; port 0 is any that is free."""

    host: str
    port: int
    path: str


def serve(  # noqa: PLR0913 - the parts of the process
    intakes: Sequence[Intake],
    address: Address,
    *,
    spool_bytes: int,
    max_bytes: int,
    stop: threading.Event,
    on_start: Callable[[int], None],
    drain_seconds: float = DRAIN_SECONDS,
) -> bool:
    """Receive webhooks until ``stop`` is set; whether all of them reached their lakes by then.

    ``on_start`` is called with the port; ``spool_bytes`` is the cap of each spool.

    Raises SettingsError where the address or the spool is in use, and SpoolUnwritable where the
    spool cannot be opened.
    """
    with _bound(address) as listener, ExitStack() as stack:
        receivers: dict[str, Receiver] = {}
        drains: list[Drain] = []
        in_flight = InFlight()
        for intake in intakes:
            spool = stack.enter_context(Spool(intake.spool, spool_bytes))
            receiver = Receiver(
                spool,
                intake.keys,
                path=f"{address.path}/{intake.account}".rstrip("/"),
                max_bytes=max_bytes,
                is_well=lambda: any(drain.is_well for drain in drains),
                in_flight=in_flight,
            )
            receivers[intake.account] = receiver
            drains.append(
                Drain(
                    spool,
                    intake.lake,
                    receiver.counts,
                    blank=intake.blank,
                    seconds=drain_seconds,
                )
            )
        app = receivers[""] if "" in receivers else ByAccount(receivers, address.path)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=BoundedConnection,
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=ANSWER_SECONDS,
                backlog=BACKLOG,
            )
        )
        # Not in the main thread, where uvicorn would take the signals and end the process by them.
        serving = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="http", daemon=True
        )
        serving.start()
        for drain in drains:
            drain.start()
        on_start(listener.getsockname()[1])
        while not stop.wait(WATCH_SECONDS) and serving.is_alive():
            pass
        for drain in drains:
            drain.listen()  # before it accepts no more
        server.should_exit = True
        serving.join(ANSWER_SECONDS + 1)
        for drain in drains:
            drain.end()
        deadline = time.monotonic() + LAST_DRAIN_SECONDS
        are_drained = [drain.has_ended(deadline) for drain in drains]
        return all(are_drained) and stop.is_set()


def _bound(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"{address.host}:{address.port} cannot be used: {error.strerror or error}.",
            next_step="Stop the process that has it, or set RETURNS_WEBHOOK_LISTEN to another "
            "address of this machine.",
        ) from None
