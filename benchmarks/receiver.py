"""The receiver of webhooks beside the same application with a simpler spool.

The peers: SQLite with a commit for each delivery, and a file to which each delivery is appended
with an fdatasync of its own, as a plain program does. The ceiling keeps nothing. All are the same
application in a process of its own; the client, on the same machine, sends over 64 connections as
fast as it can, and then 200 requests a second on time, whatever the answers take.

All of it depends on how long the disk takes to sync. Where there is a C compiler, each sync takes
as long as on a small server in the cloud, see `usual_disk.c`; else as long as it does here.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn
import uvloop

from benchmarks.figures import Figure, in_words
from returns_orchestration.receiver.app import Receiver
from returns_orchestration.receiver.connection import BoundedConnection
from returns_orchestration.receiver.serving import Address, Intake, serve
from returns_orchestration.receiver.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from returns_orchestration.receiver.spool_tables import Delivery

SHARED, SINGLE, APPENDED, NOTHING = (
    "shared commits",
    "a commit each",
    "append + fdatasync",
    "nothing",
)
SPOOLS: Final = (SHARED, SINGLE, APPENDED, NOTHING)
CONNECTIONS: Final = 64
RATE: Final = 200
LOAD_SECONDS, PACED_SECONDS, MEMORY_SECONDS = 15.0, 30.0, 600.0
BODY: Final = b'{"additional": {"return_reference_number": "8181801668674708"}}'.ljust(2_261)
"""As long as the vendor's sample."""

USUAL_DISK: Final = Path(__file__).with_name("usual_disk.c")

KEY: Final = "a-key-of-the-benchmark"
REQUEST: Final = (
    b"POST /clickpost HTTP/1.1\r\nHost: receiver\r\nwebhook_key: %b\r\nContent-Length: %d\r\n\r\n%b"
    % (KEY.encode(), len(BODY), BODY)
)


def measure(folder: Path, say: Callable[[str], None], part: float = 1.0) -> list[Figure]:
    """The figures; ``part`` of the seconds is enough for a trial."""
    folder.mkdir(parents=True)
    disk = _usual_disk(folder)
    rates: dict[str, float] = {}
    paced: dict[str, list[float]] = {}
    for name in SPOOLS:
        with serving(name, folder / name.replace(" ", "-"), disk) as (port, _):
            rates[name] = uvloop.run(_load(port, LOAD_SECONDS * part))
            if name != NOTHING:
                paced[name] = uvloop.run(_pace(port, PACED_SECONDS * part))
        say(f"sent webhooks to the receiver with {name}")
    with serving(SHARED, folder / "memory", disk) as (port, process):
        uvloop.run(_pace(port, MEMORY_SECONDS * part / 5))
        before = _resident_mb(process)
        uvloop.run(_pace(port, MEMORY_SECONDS * part * 4 / 5))
        after = _resident_mb(process)
    say("sent webhooks for ten minutes")
    is_whole = part >= 1 and bool(disk)
    p99 = {name: statistics.quantiles(seconds, n=100)[98] for name, seconds in paced.items()}
    return [
        _of_rate(
            rates, SINGLE, "at least 3", met=rates[SHARED] / rates[SINGLE] >= 3, show=is_whole
        ),
        _of_rate(rates, APPENDED),
        _of_rate(rates, NOTHING),
        _of_p99(p99, SINGLE, "at most 1", met=p99[SHARED] <= p99[SINGLE], show=is_whole),
        _of_p99(p99, APPENDED, "at most 0.25", met=p99[SHARED] <= p99[APPENDED] / 4, show=is_whole),
        Figure(
            f"memory after {in_words(MEMORY_SECONDS * part)} of {RATE} webhooks a second",
            f"{after:.0f} MB",
            f"after a fifth of that: {before:.0f} MB",
            after / before,
            "at most 1.1",
            after <= 1.1 * before if is_whole else None,
        ),
    ]


def _usual_disk(folder: Path) -> dict[str, str]:
    """The variables of a process whose disk syncs as usual; none without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return {}
    library = folder / "usual_disk.so"
    sources = [str(USUAL_DISK), "-ldl", "-lm"]
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), *sources], check=True)  # noqa: S603 - our own source
    return {"LD_PRELOAD": str(library)}


def _of_rate(
    rates: dict[str, float], beside: str, asked: str = "", *, met: bool = False, show: bool = False
) -> Figure:
    return Figure(
        f"webhooks received over {CONNECTIONS} connections",
        f"{rates[SHARED]:,.0f} a second",
        f"{beside}: {rates[beside]:,.0f}",
        rates[SHARED] / rates[beside],
        asked,
        met if show else None,
    )


def _of_p99(p99: dict[str, float], beside: str, asked: str, *, met: bool, show: bool) -> Figure:
    return Figure(
        f"99 of 100 webhooks at {RATE} a second are answered within",
        in_words(p99[SHARED]),
        f"{beside}: {in_words(p99[beside])}",
        p99[SHARED] / p99[beside],
        asked,
        met if show else None,
    )


# ---- the servers


class AppendedFile:
    """A spool as a plain program has it: each delivery is written and synced before the answer."""

    problem = ""
    is_full = False

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def put(self, delivery: Delivery, loop: asyncio.AbstractEventLoop) -> asyncio.Future[bool]:
        """See Spool."""
        os.write(self._file, delivery.body)
        os.fdatasync(self._file)
        return _done(loop)


class Nowhere:
    """Keeps nothing: how fast the application alone is."""

    problem = ""
    is_full = False

    def put(self, _: Delivery, loop: asyncio.AbstractEventLoop) -> asyncio.Future[bool]:
        """See Spool."""
        return _done(loop)


def _done(loop: asyncio.AbstractEventLoop) -> asyncio.Future[bool]:
    future: asyncio.Future[bool] = loop.create_future()
    future.set_result(True)
    return future


@contextmanager
def serving(name: str, folder: Path, variables: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """A receiver with that spool in a process of its own; gives its port and process number."""
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.receiver", name, str(folder)]
    env = {**os.environ, **variables}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:  # noqa: S603
        try:
            assert process.stdout
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def run(name: str, folder: Path) -> None:
    """Serve until the end of the process; prints the port."""
    if name == SHARED:  # as it is shipped, drain included
        from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - the peers need none

        serve(
            [
                Intake(
                    lake=Lake(open_store(str(folder / "lake"))),
                    keys=[KEY],
                    spool=folder / "spool.db",
                )
            ],
            Address("127.0.0.1", 0, "/clickpost"),
            spool_bytes=10**9,
            max_bytes=1_048_576,
            stop=threading.Event(),
            on_start=_tell,
        )
        return
    if name == SINGLE:
        with Spool(folder / "spool.db", 10**9, shares_commits=False) as spool:
            _serve(spool)
    elif name == APPENDED:
        _serve(AppendedFile(folder / "appended"))
    else:
        _serve(Nowhere())


def _serve(spool: Spool | AppendedFile | Nowhere) -> None:
    app = Receiver(spool, [KEY], path="/clickpost", max_bytes=1_048_576)  # type: ignore[arg-type]
    config = uvicorn.Config(
        app,
        port=0,
        http=BoundedConnection,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    _tell(listener.getsockname()[1])
    uvicorn.Server(config).run(sockets=[listener])


def _tell(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


# ---- the client


class Client(asyncio.Protocol):
    """One connection: sends a request, and calls ``answered`` with the seconds it took."""

    def __init__(self, answered: Callable[[Client, float], None]) -> None:
        self._answered = answered
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.is_free = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = transport  # type: ignore[assignment]

    def close(self) -> None:
        """End the connection."""
        assert self._transport
        self._transport.abort()

    def send(self, due_at: float) -> None:
        """Send a request that was due at that time."""
        self.is_free = False
        self._sent_at = due_at
        assert self._transport
        self._transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        """Take an answer, which comes in one piece."""
        if not data.startswith(b"HTTP/1.1 200"):
            message = f"the receiver answered {data[:40]!r}"
            raise RuntimeError(message)
        self.is_free = True
        self._answered(self, time.perf_counter() - self._sent_at)


async def _connected(port: int, answered: Callable[[Client, float], None]) -> list[Client]:
    loop = asyncio.get_running_loop()
    found: list[Client] = []
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(lambda: Client(answered), "127.0.0.1", port)
        found.append(client)
    return found


async def _load(port: int, seconds: float) -> float:
    """Answers a second, as fast as they come."""
    answers, end = 0, time.perf_counter() + seconds
    all_answered = asyncio.Event()

    def answered(client: Client, _: float) -> None:
        nonlocal answers
        answers += 1
        if time.perf_counter() < end:
            client.send(time.perf_counter())
        elif all(client.is_free for client in clients):
            all_answered.set()

    begun = time.perf_counter()
    clients = await _connected(port, answered)
    for client in clients:
        client.send(time.perf_counter())
    await all_answered.wait()
    rate = answers / (time.perf_counter() - begun)
    await _closed(clients)
    return rate


async def _pace(port: int, seconds: float) -> list[float]:
    """Seconds of each answer from when its request was due, RATE a second."""
    took: list[float] = []
    waiting: list[float] = []
    free: deque[Client] = deque()
    all_answered = asyncio.Event()

    def answered(client: Client, of_one: float) -> None:
        took.append(of_one)
        if waiting:
            client.send(waiting.pop(0))
        else:
            free.append(client)
        if len(took) == int(seconds * RATE):
            all_answered.set()

    free += await _connected(port, answered)
    begun = time.perf_counter()
    for number in range(int(seconds * RATE)):
        due_at = begun + number / RATE
        await asyncio.sleep(max(0.0, due_at - time.perf_counter()))
        if free:
            free.popleft().send(due_at)
        else:
            waiting.append(due_at)
    await all_answered.wait()
    await _closed(free)
    return took


async def _closed(clients: Iterable[Client]) -> None:
    for client in clients:
        client.close()
    await asyncio.sleep(0.1)  # for the loop to take them off


def _resident_mb(process: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]))
