"""A receiver of webhooks in a process of its own, to be killed; and clients that send to it."""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType

from returns_orchestration.lake import Lake, open_store
from returns_orchestration.receiver.serving import Address, Intake, serve
from support import forked
from support.receivers import KEY

START_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def receive(folder: str, port: int, drain_seconds: float) -> None:
    """Receive into ``folder``/lake until SIGTERM; its log is ``folder``/receiver.log."""
    log = os.open(Path(folder) / "receiver.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logging.basicConfig(level=logging.INFO)
    stop = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    is_drained = serve(
        [
            Intake(
                lake=Lake(open_store(f"{folder}/lake")), keys=[KEY], spool=Path(folder) / "spool.db"
            )
        ],
        Address("127.0.0.1", port, "/clickpost"),
        spool_bytes=500_000_000,
        max_bytes=1_000_000,
        stop=stop,
        on_start=lambda _: None,
        drain_seconds=drain_seconds,
    )
    os._exit(0 if is_drained else 1)


def started(folder: Path, port: int, drain_seconds: float) -> ForkServerProcess:
    """A receiver that accepts connections."""
    process = forked.context().Process(target=receive, args=(str(folder), port, drain_seconds))
    process.start()
    _wait(port, process.is_alive)
    return process


def started_cold(folder: Path, port: int, drain_seconds: float) -> subprocess.Popen[bytes]:
    """The same in a process that has imported nothing else, for its memory to be measured."""
    called = f"receive({str(folder)!r}, {port}, {drain_seconds})"
    code = f"from support.receive_process import receive; {called}"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)  # noqa: S603
    _wait(port, lambda: process.poll() is None)
    return process


def _wait(port: int, lives: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and lives():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            threading.Event().wait(0.005)
        else:
            return
    message = "The receiver did not start."
    raise AssertionError(message)


def ended(process: ForkServerProcess) -> int | None:
    """The exit code after SIGTERM."""
    process.terminate()
    process.join(60)
    return process.exitcode


class Senders:
    """Threads that send deliveries until they are stopped, and note which were acknowledged."""

    def __init__(self, port: int, seed: int, threads: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.sent: Counter[bytes] = Counter()
        self.acknowledged: set[bytes] = set()
        self._threads = [
            threading.Thread(target=self._run, args=(number, random.Random(seed * 1000 + number)))
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int, dice: random.Random) -> None:
        connection: socket.socket | None = None
        at, body = 0, b""
        while not self._stop.is_set():
            # As ClickPost does, the same is sent again until it is answered with 200.
            if not body:
                at += 1
                body = f"{number}-{at} ".encode() + dice.randbytes(dice.randrange(2_000))
            with self._lock:
                self.sent[body] += 1
            try:
                connection = connection or socket.create_connection(("127.0.0.1", self._port), 10)
                connection.sendall(request(body))
                answer = connection.recv(65536)
            except OSError:
                answer = b""
            if answer.startswith(b"HTTP/1.1 200 "):
                with self._lock:
                    self.acknowledged.add(body)
                body = b""
                if dice.random() < 0.05:
                    connection.close() if connection else None
                    connection = None
                continue
            if connection is not None:
                connection.close()
            connection = None
            self._stop.wait(0.002)
        if connection is not None:
            connection.close()


def request(body: bytes) -> bytes:
    """One delivery as it goes over the wire."""
    return (
        b"POST /clickpost HTTP/1.1\r\nHost: receiver\r\nContent-Type: application/json\r\n"
        b"webhook_key: %b\r\nContent-Length: %d\r\n\r\n%b" % (KEY.encode(), len(body), body)
    )
