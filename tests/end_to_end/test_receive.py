"""The command `receive` as a process, on machines that go wrong."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from support.receive_process import Senders, free_port
from support.receivers import KEY, bodies, deliveries

PROJECT = Path(__file__).parents[2]
BAD_MACHINE = PROJECT / "tests/support/bad_machine.c"
COMMAND = [sys.executable, "-c", "from returns_orchestration.cli import main; main()", "receive"]
PATIENCE = 60.0


class Process:
    """A receiver started as a user starts it."""

    def __init__(self, folder: Path, prefix: list[str], variables: dict[str, str]) -> None:
        self.folder = folder
        self.lake = folder / "lake"
        self.spool = Path(variables.get("RETURNS_WEBHOOK_SPOOL", str(folder / "spool.db")))
        self.port = free_port()
        self.log = folder / "receiver.log"
        self._command = [*prefix, *COMMAND]
        self._environment = os.environ | {
            "RETURNS_LAKE": str(self.lake),
            "RETURNS_WEBHOOK_KEYS": KEY,
            "RETURNS_WEBHOOK_LISTEN": f"127.0.0.1:{self.port}",
            "RETURNS_WEBHOOK_SPOOL": str(self.spool),
            **variables,
        }
        self.process = self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/clickpost"

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                self._command, cwd=self.folder, env=self._environment, stdout=log, stderr=log
            )
        until(lambda: self.status() is not None or process.poll() is not None)
        assert process.poll() is None, self.log.read_text()
        self.process = process
        return process

    def status(self) -> int | None:
        """The answer to GET /health; None without one."""
        try:
            return httpx.get(self.url.replace("/clickpost", "/health"), timeout=10).status_code
        except httpx.HTTPError:
            return None

    def post(self, body: bytes, key: str = KEY) -> int:
        answer = httpx.post(self.url, content=body, headers={"webhook_key": key}, timeout=30)
        return answer.status_code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.05)


@contextmanager
def receiver(
    folder: Path, *, prefix: list[str] | None = None, **variables: str
) -> Iterator[Process]:
    found = Process(folder, prefix or [], variables)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()


def compiled(folder: Path) -> Path:
    """The library by which a machine goes wrong; skips without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler on Linux")
    library = folder / "bad_machine.so"
    subprocess.run(  # noqa: S603
        [compiler, "-shared", "-fPIC", "-o", str(library), str(BAD_MACHINE), "-ldl"], check=True
    )
    return library


def test_a_receiver_that_is_stopped_under_load_has_drained_all(tmp_path: Path) -> None:
    with receiver(tmp_path) as process:
        senders = Senders(process.port, 1, 4)
        until(lambda: len(senders.acknowledged) > 200)
        begun = time.monotonic()
        assert process.stop() == 0
        took = time.monotonic() - begun
        senders.stop()
    assert took < 20
    assert senders.acknowledged <= set(bodies(tmp_path / "lake"))
    log = process.log.read_text()
    assert log.startswith(f"Receiving webhooks at {process.url}; they go to {process.lake}.")
    assert log.endswith("Stopped.\n")


def test_the_key_and_the_bodies_are_in_no_log(tmp_path: Path) -> None:
    body, wrong = b"canary-body-5512", "canary-wrong-key-8121"
    with receiver(tmp_path) as process:
        assert process.post(body) == 200
        assert process.post(body, wrong) == 401
        httpx.post(f"{process.url}/t/{wrong}", content=body)
        httpx.post(f"{process.url}/t/{KEY}", content=b"\xff not json")
        with httpx.Client() as client:
            client.request("NONSENSE", process.url, headers={"webhook_key": KEY}, content=body)
        assert process.stop() == 0
    said = process.log.read_text()
    assert "canary" not in said
    assert KEY not in said
    written = [file for file in tmp_path.rglob("*") if file.is_file() and file != process.log]
    assert not [file for file in written if KEY.encode() in file.read_bytes()]


def test_no_200_leaves_before_a_sync_of_its_own(tmp_path: Path) -> None:
    """From the system calls: between two answers there is a finished sync of the spool's log."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,write,writev,sendto,sendmsg"
    prefix = [strace, "-f", "-y", "-s", "32", "-e", calls, "-o", str(trace)]
    with receiver(tmp_path, prefix=prefix) as process:
        for number in range(20):
            assert process.post(f"{number}".encode()) == 200
        children = subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", f"cat /proc/{process.process.pid}/task/*/children"],
            capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        os.kill(int(children[0]), signal.SIGTERM)
        process.process.wait(60)
    synced, answers = 0, 0
    pending: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        thread, _, call = line.partition(" ")
        if "unfinished ..." in call:
            pending[thread] = call
            continue
        if "resumed>" in call:
            call = pending.pop(thread, "") + call
        if re.search(r"(fsync|fdatasync)\(\d+<[^>]*spool\.db-wal>.*= 0", call):
            synced += 1
        if "HTTP/1.1 200" in call:
            assert synced, "an answer left without a sync since the one before"
            synced, answers = 0, answers + 1
    assert answers >= 20


def test_a_failed_sync_acknowledges_nothing_and_the_next_one_goes_on(tmp_path: Path) -> None:
    bad = tmp_path / "sync is bad"
    library = str(compiled(tmp_path))
    acknowledged = []
    with receiver(tmp_path, LD_PRELOAD=library, BAD_SYNC=str(bad)) as process:
        for round_ in range(3):
            body = f"good {round_}".encode()
            until(lambda body=body: process.post(body) == 200)
            acknowledged.append(body)
            bad.touch()
            assert process.post(f"bad {round_}".encode()) == 503
            assert process.status() == 503
            bad.unlink()
        until(lambda: process.post(b"last") == 200)
        assert process.status() == 200
        process.kill()
        process.start()
        assert process.stop() == 0
    there = set(bodies(tmp_path / "lake"))
    assert {*acknowledged, b"last"} <= there


def test_a_clock_that_jumps_loses_nothing(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    days = (0, 2, -2, 0)
    with receiver(tmp_path, LD_PRELOAD=str(compiled(tmp_path)), BAD_CLOCK=str(clock)) as process:
        for at, ahead in enumerate(days):
            clock.write_text(f"{ahead * 86_400}")
            assert process.post(f"{at}".encode()) == 200
        assert process.stop() == 0
    rows = deliveries(tmp_path / "lake")
    assert bodies(tmp_path / "lake") == [b"0", b"1", b"2", b"3"]
    now = datetime.now(UTC)
    for at, ahead in zip(rows.get_column("received_at"), days, strict=True):
        assert abs(at - now - timedelta(days=ahead)) < timedelta(minutes=5)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    command = [mount, "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        pytest.skip("no file system may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run([umount, "--lazy", str(folder)], check=True)  # noqa: S603


def test_a_full_disk_refuses_and_goes_on_by_itself(tmp_path: Path, small_disk: Path) -> None:
    spool = small_disk / "spool.db"
    filler = small_disk / "filler"
    filler.write_bytes(b"0" * 1_500_000)
    acknowledged: list[bytes] = []
    with receiver(tmp_path, RETURNS_WEBHOOK_SPOOL=str(spool)) as process:
        statuses: list[int] = []
        while 503 not in statuses:
            body = f"{len(statuses)} ".encode().ljust(20_000, b".")
            statuses.append(process.post(body))
            acknowledged += [body] if statuses[-1] == 200 else []
        assert process.status() == 503
        filler.unlink()
        until(lambda: process.post(b"there is room again") == 200)
        assert process.status() == 200
        process.kill()
        process.start()
        assert process.stop() == 0
    there = bodies(tmp_path / "lake")
    assert set(acknowledged) <= set(there)
    assert len(there) == len(set(there))
    assert b"there is room again" in there


def test_without_a_key_it_does_not_start(tmp_path: Path) -> None:
    environment = os.environ | {"RETURNS_LAKE": str(tmp_path / "lake"), "RETURNS_WEBHOOK_KEYS": ""}
    done = subprocess.run(  # noqa: S603 - our own command
        COMMAND, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "RETURNS_WEBHOOK_KEYS is not set" in done.stderr


def test_a_spool_that_cannot_be_opened_at_start_ends_it_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = os.environ | {
        "RETURNS_LAKE": str(tmp_path / "lake"),
        "RETURNS_WEBHOOK_KEYS": KEY,
        "RETURNS_WEBHOOK_LISTEN": f"127.0.0.1:{free_port()}",
        "RETURNS_WEBHOOK_SPOOL": str(tmp_path / "file/spool.db"),
    }
    done = subprocess.run(  # noqa: S603 - our own command
        COMMAND, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "start the receiver again" in done.stderr
    assert "by itself" not in done.stderr


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    with receiver(tmp_path) as process:
        other = os.environ | {
            "RETURNS_LAKE": str(tmp_path / "lake"),
            "RETURNS_WEBHOOK_KEYS": KEY,
            "RETURNS_WEBHOOK_LISTEN": f"127.0.0.1:{process.port}",
        }
        done = subprocess.run(  # noqa: S603 - our own command
            COMMAND, cwd=tmp_path, env=other, capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert f"127.0.0.1:{process.port} cannot be used" in done.stderr
    assert "RETURNS_WEBHOOK_LISTEN" in done.stderr
