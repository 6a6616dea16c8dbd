"""Odd requests: the receiver lives, stays small, and keeps only what has the key."""

from __future__ import annotations

import gzip
import random
import re
import socket
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proof.result import Result
from support.receive_process import free_port, request, started_cold
from support.receivers import KEY, bodies

AT_ONCE = 200
SLOW = 0.02
"""Share of requests that are slow: each holds its connection until the receiver ends it."""

MOST_MB = 150
SECONDS = 40.0
MARK = b"canary-without-key"
METHODS = ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "BREW", "PRI")
PATHS = (
    *("/", "/clickpost/x", "/clickpost/t/", "//clickpost", "/health/x", "/%2e%2e/clickpost"),
    *("*", "\x00"),
)
RIGHT_PATHS = ("/clickpost?x=" + "y" * 3_000, "http://a/clickpost/", "/clickpost#x")


class Requests:
    """Odd requests over a socket, and what became of those with the key."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._seed = seed
        self._lock = threading.Lock()
        self.kept: Counter[bytes] = Counter()
        self.answers: Counter[str] = Counter()
        self.kinds: dict[str, Callable[[random.Random], bytes]] = {
            "wrong key": self._wrong_key,
            "no key": lambda _: _head("POST", "/clickpost", 30) + MARK.ljust(30),
            "method": lambda dice: _head(dice.choice(METHODS), "/clickpost", 30) + MARK.ljust(30),
            "path": lambda dice: _head("POST", dice.choice(PATHS), 30, KEY) + MARK.ljust(30),
            "short body": lambda _: _head("POST", "/clickpost", 10_000, KEY) + MARK,
            "long body": self._long_body,
            "right path": self._right_path,
            "large": lambda _: _head("POST", "/clickpost", 2_000_000, KEY) + bytes(2_000_000),
            "huge length": lambda _: _head("POST", "/clickpost", 10**15, KEY) + MARK,
            "bad length": lambda _: _with("Content-Length: -5") + MARK,
            "two lengths": lambda _: _with("Content-Length: 3\r\nContent-Length: 300") + MARK,
            "length and chunks": lambda _: _with("Content-Length: 3\r\nTransfer-Encoding: chunked"),
            "bad chunks": lambda _: _with("Transfer-Encoding: chunked") + b"zz\r\n" + MARK,
            "endless chunks": lambda _: (
                _with("Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 200_000
            ),
            "bomb": lambda _: _with_body(gzip.compress(bytes(30_000_000)), "gzip"),
            "broken gzip": self._broken_gzip,
            "encoding": lambda dice: _with_body(MARK, dice.choice(["br", "deflate", "zstd", "x"])),
            "noise": lambda dice: dice.randbytes(dice.randrange(5_000)),
            "large head": lambda _: _head("POST", "/clickpost", 0) + b"X: " + b"x" * 300_000,
            "many headers": lambda _: b"POST /clickpost HTTP/1.1\r\n" + b"X: x\r\n" * 60_000,
            "tls": lambda dice: (
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(500)
            ),
            "h2": lambda dice: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + dice.randbytes(50),
            "upgrade": self._upgrade,
            "expect": lambda _: _with("Expect: 100-continue\r\nContent-Length: 5"),
            "nothing": lambda _: b"",
            "odd body": self._odd_body,
        }
        self.slow = {
            "slow head": b"POST /clickpost HTTP/1.1\r\nX: ",
            "slow body": _head("POST", "/clickpost", 500_000, KEY),
            "slow chunks": _with("Transfer-Encoding: chunked"),
        }

    def send(self, number: int) -> None:
        """Send the ``number``-th request."""
        dice = random.Random(self._seed * 1_000_003 + number)
        if dice.random() < SLOW:
            name = dice.choice(sorted(self.slow))
            answer = self._exchange(self.slow[name], is_slow=True)
        else:
            name = dice.choice(sorted(self.kinds))
            answer = self._exchange(self.kinds[name](dice))
        with self._lock:
            read = re.match(rb"HTTP/1\.1 (\d+)", answer)
            self.answers[read[1].decode() if read else "closed"] += 1
            if MARK in answer or KEY.encode() in answer:
                self.answers["echoed"] += 1

    def _exchange(self, content: bytes, *, is_slow: bool = False) -> bytes:
        answer = b""
        try:
            with socket.create_connection(("127.0.0.1", self._port), SECONDS) as connection:
                reader = threading.Thread(target=_send, args=(connection, content, is_slow))
                reader.start()
                answer = connection.recv(65536)
                connection.close()
                reader.join()
        except OSError:
            pass
        return answer

    def _wrong_key(self, dice: random.Random) -> bytes:
        wrong = dice.choice([KEY[:-1], KEY + "x", KEY.upper(), "", "\xff", "a" * 5_000])
        path = dice.choice(["/clickpost", "/clickpost/", "/clickpost/t/" + "wrong" * 500])
        return _head("POST", path, 30, wrong) + MARK.ljust(30)

    def _broken_gzip(self, dice: random.Random) -> bytes:
        body = gzip.compress(dice.randbytes(100))[: dice.randrange(10, 90)]
        with self._lock:
            self.kept[body] += 1
        return _with_body(body, "gzip")

    def _long_body(self, _: random.Random) -> bytes:
        with self._lock:
            self.kept[MARK[:1]] += 1
        return _head("POST", "/clickpost", 1, KEY) + MARK * 10

    def _upgrade(self, _: random.Random) -> bytes:
        with self._lock:
            self.kept[b""] += 1  # without a length there is no body
        return _with("Upgrade: websocket\r\nConnection: Upgrade")

    def _right_path(self, dice: random.Random) -> bytes:
        body = b"%d" % dice.randrange(10**6)
        with self._lock:
            self.kept[body] += 1
        return _head("POST", dice.choice(RIGHT_PATHS), len(body), KEY) + body

    def _odd_body(self, dice: random.Random) -> bytes:
        body = dice.choice([b"", b"\x00", b"\xff\xfe", b"[", b"null", b"{}", dice.randbytes(300)])
        with self._lock:
            self.kept[body] += 1
        return request(body)


def odd_requests(requests: int, seed: int) -> Result:
    """The receiver after so many odd requests: alive, under 150 MB, with the right bodies."""
    result = Result(seed)
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        process = started_cold(folder, port, 1.0)
        sent = Requests(port, seed)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(sent.send, range(requests)):
                result.tried += 1
        if process.poll() is not None:
            result.faults.append("The receiver has ended.")
            return result
        peak = _peak_mb(process.pid)
        last = b"the last one"
        with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
            connection.sendall(request(last))
            if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
                result.faults.append("A good delivery is refused after all of them.")
        process.terminate()
        if process.wait(60):
            result.faults.append("It did not end well.")
        there = Counter(bodies(folder / "lake"))
        sent.kept[last] += 1
        result.faults += _wrong(sent, there, folder, peak)
        result.notes = f"peak {peak:.0f} MB, answers {dict(sorted(sent.answers.items()))}"
    return result


def _wrong(sent: Requests, there: Counter[bytes], folder: Path, peak: float) -> list[str]:
    faults = []
    if peak > MOST_MB:
        faults.append(f"It took {peak:.0f} MB.")
    if missing := sent.kept - there:
        faults.append(f"{missing.total()} bodies with the key are not there.")
    if odd := there - sent.kept:
        faults.append(f"Bodies without a key or a whole request were kept: {list(odd)[:3]}.")
    log = (folder / "receiver.log").read_bytes()
    if KEY.encode() in log or MARK in log:
        faults.append("The log holds the key or a body.")
    if sent.answers["echoed"]:
        faults.append("An answer repeats what was sent.")
    return faults


def _send(connection: socket.socket, content: bytes, is_slow: bool) -> None:
    try:
        connection.sendall(content)
        while is_slow:
            threading.Event().wait(0.5)
            connection.sendall(b"1")
    except OSError:
        pass


def _head(method: str, path: str, length: int, key: str = "") -> bytes:
    header = f"webhook_key: {key}\r\n" if key else ""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: a\r\n{header}Content-Length: {length}\r\n\r\n"
    ).encode("latin-1")


def _with(headers: str) -> bytes:
    return (
        f"POST /clickpost HTTP/1.1\r\nHost: a\r\nwebhook_key: {KEY}\r\n{headers}\r\n\r\n".encode()
    )


def _with_body(body: bytes, encoding: str) -> bytes:
    return _with(f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}") + body


def _peak_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0
