"""The simulator as a server: in a thread for tests and demos, or in the foreground.

Not here: what it answers (`app`), and the command line, which belongs to the product.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from uvicorn import Config, Server

from returns_orchestration.simulator.app import Desk, build_app
from returns_orchestration.simulator.dataset import Dataset
from returns_orchestration.simulator.faults import Fault, as_faults
from returns_orchestration.simulator.journal import Journal, RequestRecord
from returns_orchestration.simulator.moments import utc_now
from returns_orchestration.simulator.options import SimulatorOptions
from returns_orchestration.simulator.polls import Polls, RateLimit
from returns_orchestration.simulator.wire import Gate, connection_class

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from datetime import datetime
    from pathlib import Path
    from types import FrameType

    from starlette.applications import Starlette

_BOUND = 15.0  # seconds that starting and stopping may take before something is wrong
_GRACE = 3  # seconds for replies under way when stopping
_KEEP_ALIVE = 60  # seconds an idle connection stays open
_TICK = 0.1  # seconds until a signal is noticed


class AddressTakenError(OSError):
    """Another program listens on the simulator's port. Choose another port, or end it."""

    def __init__(self, host: str, port: int) -> None:
        """Name the address and the remedy."""
        super().__init__(errno.EADDRINUSE, f"{host}:{port} is taken; choose another port")
        self.host = host
        self.port = port


class Simulator:
    """The API with one dataset. `faults` and `down` may be changed while it runs.

    options    see `SimulatorOptions`
    clock      gives the API's time, aware UTC; a test passes its own
    faults     `Fault` values or their texts
    log_file   where requests are appended as JSON lines while a server runs; None: nowhere
    monotonic  seconds, for the rate limit only
    """

    def __init__(
        self,
        options: SimulatorOptions | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        faults: Iterable[Fault | str] = (),
        log_file: Path | str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Put the parts together; nothing listens and no file is open yet."""
        self.options = options or SimulatorOptions()
        self.dataset = Dataset(self.options)
        self._journal = Journal(log_file)
        self._gate = Gate()
        self._desk = Desk(
            self.options,
            self.dataset,
            self._journal,
            Polls(),
            RateLimit(self.options.rate_limit, monotonic),
            clock,
            as_faults(faults),
        )
        self.app: Starlette = build_app(self._desk)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults in force; the first that fits a request strikes it."""
        return self._desk.faults

    @faults.setter
    def faults(self, faults: Iterable[Fault | str]) -> None:
        self._desk.faults = as_faults(faults)

    @property
    def down(self) -> bool:
        """Whether every connection, new or kept alive, is reset."""
        return self._gate.down

    @down.setter
    def down(self, down: bool) -> None:
        self._gate.down = down

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """Every request so far, oldest first."""
        return self._journal.records()

    def forget(self) -> None:
        """Clear the requests in memory and begin counting polls again, as between two tests."""
        self._journal.clear()
        self._desk.polls.clear()

    @contextmanager
    def running(self, host: str = "127.0.0.1", port: int = 0) -> Generator[str]:
        """Serve in a thread; yields the base URL, ending in /api, once it answers.

        Port 0 takes a free one. AddressTakenError if the port is in use, RuntimeError if the
        server does not start or end in time.
        """
        with self._listening(host, port) as (listener, base_url):
            ready = threading.Event()
            server = _GatedServer(self._config(), self._gate, ready.set)

            def run() -> None:
                try:
                    server.run(sockets=[listener])
                finally:
                    ready.set()  # a server that died must not be waited for

            thread = threading.Thread(target=run, name="returns-simulator", daemon=True)
            thread.start()
            try:
                if not ready.wait(_BOUND) or not server.started:
                    message = f"the simulator did not start at {base_url}"
                    raise RuntimeError(message)
                yield base_url
            finally:
                server.end()
                thread.join(_BOUND)
                if thread.is_alive():
                    message = f"the simulator at {base_url} did not end within {_BOUND:.0f} s"
                    raise RuntimeError(message)

    def serve(self, host: str, port: int, on_ready: Callable[[str], None]) -> None:
        """Serve in the foreground until SIGINT or SIGTERM, then return.

        `on_ready` gets the base URL once it answers. AddressTakenError if the port is in use.
        """
        with self._listening(host, port) as (listener, base_url):
            server = _GatedServer(self._config(), self._gate, lambda: on_ready(base_url))
            server.run(sockets=[listener])

    @contextmanager
    def _listening(self, host: str, port: int) -> Generator[tuple[socket.socket, str]]:
        """A bound socket with its base URL, and the log file open."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, port), family=family)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise AddressTakenError(host, port) from None
            raise
        with listener:
            named = f"[{host}]" if family == socket.AF_INET6 else host
            self._journal.open()
            try:
                yield listener, f"http://{named}:{listener.getsockname()[1]}/api"
            finally:
                self._journal.close()

    def _config(self) -> Config:
        return Config(
            self.app,
            http=connection_class(self._gate),
            loop="asyncio",  # the others hide the socket that a reset needs
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,  # the app sends the API's own time
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_GRACE,
        )


class _GatedServer(Server):
    """uvicorn's server that signals when it is ready, drops held connections, ends quietly."""

    def __init__(self, config: Config, gate: Gate, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._gate = gate
        self._on_ready = on_ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Stop, called from another thread: at once, not at the next tick."""
        self.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets=sockets)
        self._on_ready()

    async def main_loop(self) -> None:
        # Tick 0 renews the Date header; uvicorn's own loop would sleep through `end`.
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _TICK)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gate.release()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # closed transports report it in the loop's next round
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets=sockets)  # replies under way: wait for them

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Like uvicorn's, but the signal is not raised again: a stop by signal is a clean end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in kept:
            signal.signal(number, self._stop)
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.force_exit = self.should_exit  # the second time at once
        self.should_exit = True


def serve(  # noqa: PLR0913 - what a command line can say
    options: SimulatorOptions,
    host: str,
    port: int,
    *,
    on_ready: Callable[[str], None],
    clock: Callable[[], datetime] = utc_now,
    faults: Iterable[Fault | str] = (),
    log_file: Path | str | None = None,
) -> None:
    """Serve in the foreground until SIGINT or SIGTERM; see `Simulator` and its `serve`.

    Prints nothing: `on_ready` gets the base URL once the server answers.
    """
    simulator = Simulator(options, clock=clock, faults=faults, log_file=log_file)
    simulator.serve(host, port, on_ready)
