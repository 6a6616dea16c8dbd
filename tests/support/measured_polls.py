"""The cost of polls: processor time and memory of a process that does nothing else.

``measure`` serves replies on a loopback port and polls each in a separate process, forked from one
that has imported the client. Run as a script it is that process: it reads addresses from its
standard input, one a line, and prints a line of figures for each.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from returns_orchestration.clickpost import ClickPostClient, Timeouts
from returns_orchestration.errors import ApiError
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Served:
    """One reply: HTTP status, body as sent, and further headers."""

    body: bytes
    status: int = 200
    head: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Figures:
    """The result of one poll: records or the type of its error, and its cost."""

    outcome: str
    said: str
    asked: int
    seconds: float
    megabytes: float
    records: int
    damaged: int
    size: int


def measure(replies: Mapping[str, Served]) -> dict[str, Figures]:
    """Poll each reply by the real client, in a separate process, and measure the cost.

    ``seconds`` are processor time, all attempts together; ``megabytes`` are the most memory above
    the memory of the process before.
    """
    by_path = {f"/{number}/": reply for number, reply in enumerate(replies.values())}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = by_path[self.path[: self.path.index("/", 1) + 1]]
            self.send_response(reply.status)
            for name, value in (*reply.head, ("Content-Length", str(len(reply.body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, __file__],
            input="\n".join(address + path for path in by_path),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        server.shutdown()
    assert done.returncode == 0, done.stderr[-2_000:]
    figures = [Figures(**json.loads(line)) for line in done.stdout.splitlines()]
    return dict(zip(replies, figures, strict=True))


def _poll_once(address: str) -> dict[str, Any]:
    window = Window(datetime(2026, 11, 9, 11, tzinfo=UTC))
    client = ClickPostClient(
        address,
        lambda: ("key", "user"),
        zone=ZoneInfo("UTC"),
        max_requests_per_second=1e9,
        sleep=lambda _seconds: None,
        timeouts=Timeouts(read=20, total=60),
    )
    before, began = _resident(), time.process_time()
    outcome, said, asked, records, damaged, size = "read", "", 0, 0, 0, 0
    try:
        poll = client.poll(window)
    except ApiError as error:
        outcome, said, asked = type(error).__name__, str(error), error.attempts
    else:
        asked, records, damaged = poll.requests, len(poll.records), poll.damaged_text
        size = sum(map(len, poll.records))
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
    return {
        "outcome": outcome,
        "said": said,
        "asked": asked,
        "seconds": seconds,
        "megabytes": (peak - before) / 2**20,
        "records": records,
        "damaged": damaged,
        "size": size,
    }


_UNIT = 1 if sys.platform == "darwin" else 2**10


def _resident() -> float:
    """Bytes of memory now; where that is not available, the most so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def _main() -> None:
    for address in sys.stdin.read().split():
        sys.stdout.flush()
        process = os.fork()
        if process == 0:
            print(json.dumps(_poll_once(address)), flush=True)  # noqa: T201 - its answer
            os._exit(0)
        os.waitpid(process, 0)


if __name__ == "__main__":
    _main()
