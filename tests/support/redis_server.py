"""A real Redis on a free port of loopback, with the configuration that we ship, as a broker."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CONFIGURATION = Path(__file__).parents[2] / "deploy/celery/redis.conf"
READY = "Ready to accept connections"


def missing() -> str:
    """What a broker needs and this machine lacks; "" if it is all there."""
    if shutil.which("redis-server") is None:
        return "there is no redis-server"
    absent = [name for name in ("redis", "celery", "dagster_celery") if find_spec(name) is None]
    return f"there is no module {absent[0]}" if absent else ""


class RedisServer:
    """One server. It may be killed and started again; what it had accepted stays."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[RedisServer]:
        """A new server, which ends with the block."""
        with tempfile.TemporaryDirectory(prefix="redis-") as name:
            server = cls(Path(name))
            try:
                server.start()
                yield server
            finally:
                server.kill()

    @property
    def variables(self) -> dict[str, str]:
        """The environment of deploy/celery/dagster.yaml."""
        address = f"redis://127.0.0.1:{self.port}"
        return {"CELERY_BROKER_URL": f"{address}/0", "CELERY_RESULT_BACKEND": f"{address}/1"}

    def start(self) -> None:
        """Start it, and wait until it has read its log and accepts connections."""
        own = ("--port", str(self.port), "--dir", str(self._folder), "--logfile", "")
        self._process = subprocess.Popen(  # noqa: S603 - a program of the system
            [str(shutil.which("redis-server")), str(CONFIGURATION), *own],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if READY in line:
                return
        raise AssertionError("".join(lines))

    def kill(self) -> None:
        """End it by a signal that it cannot catch."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate()
            self._process = None

    def client(self) -> Any:
        """A client of the broker's database."""
        import redis  # noqa: PLC0415 - where it is absent its tests are skipped

        return redis.Redis(port=self.port, socket_timeout=20)

    def waiting(self) -> int:
        """How many runs wait."""
        with self.client() as client:
            return int(client.llen("dagster"))

    def listeners(self) -> int:
        """How many connections wait for results."""
        with self.client() as client:
            return len(client.client_list(_type="pubsub"))

    def empty(self) -> None:
        """Lose everything, as a broker does whose disk is replaced."""
        with self.client() as client:
            client.flushall()
