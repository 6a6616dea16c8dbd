"""Searches for secrets: in texts, in files, also compressed or encoded, in command lines.

A needle is a piece so distinctive that no encoding of the whole hides it and no other text holds
it by chance. Upper and lower case count alike; its base64, hex and reverse also count.
"""

from __future__ import annotations

import base64
import gzip
import io
import re
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import polars as pl

PROCESSES = Path("/proc")
LOOK_EVERY = 0.05
"""Seconds between two looks at the processes; a command takes a second or more."""

_PACKED = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")
_DEEPEST = 4
"""Levels of packing: a gzip in a blob of a database is two."""

ANYWHERE = frozenset({"*"})
Exempt = Callable[[Path], frozenset[str]]
"""The columns of a file's table that may hold a needle; ANYWHERE: the whole file may."""


def nowhere(_file: Path) -> frozenset[str]:
    """No place is exempt."""
    return frozenset()


class Search:
    """Searches for ``needles``, and counts the searched texts and files."""

    def __init__(self, needles: Iterable[str], *, coded: bool = True) -> None:
        """``coded``: also search for base64, hex and the reverse of the needles."""
        said = {needle: _forms(needle) if coded else [needle.encode()] for needle in needles}
        self._forms = sorted({form.lower() for forms in said.values() for form in forms})
        self.files = 0
        self.bytes = 0

    def holds(self, content: bytes | str, depth: int = 0) -> bool:
        """Whether a needle is in ``content``, or in what it packs."""
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogatepass")
        lower = content.lower()
        if any(form in lower for form in self._forms):
            return True
        return depth < _DEEPEST and any(self.holds(i, depth + 1) for i in _unpacked(content))

    def below(self, folder: Path, exempt: Exempt = nowhere) -> Iterator[str]:
        """The places below ``folder`` that hold a needle, names of files included."""
        for file in sorted(folder.rglob("*")):
            where = str(file.relative_to(folder))
            if self.holds(where):
                yield f"the name {where}"
            if file.is_file() and not file.is_symlink():
                yield from (f"{where}{column}" for column in self._in_file(file, exempt))

    def _in_file(self, file: Path, exempt: Exempt) -> Iterator[str]:
        content = file.read_bytes()
        self.files += 1
        self.bytes += len(content)
        allowed = exempt(file)
        if allowed == ANYWHERE:
            return
        # The footer of Parquet repeats values of a column: its bytes hold no more than its columns.
        if not allowed and self.holds(content):
            yield ""
        try:
            if content.startswith(b"SQLite format 3\0"):
                yield from (f", table {table}" for table in self._in_database(file))
            elif content.startswith(b"PAR1"):
                yield from (
                    f", column {column}"
                    for column in self._in_frame(pl.read_parquet(io.BytesIO(content)))
                    if column not in allowed
                )
        except (sqlite3.DatabaseError, pl.exceptions.PolarsError):
            return  # it is damaged, as some are here on purpose; its bytes were looked at

    def _in_frame(self, frame: pl.DataFrame) -> Iterator[str]:
        """The columns of ``frame`` that hold a needle."""
        for name, *values in zip(frame.columns, *frame.iter_rows(), strict=True):
            if self.holds(name) or self.holds("\n".join(map(str, values))):
                yield name

    def _in_database(self, file: Path) -> Iterator[str]:
        """The tables that hold a needle in any value of any row."""
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            database.text_factory = bytes
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in names.fetchall():
                quoted = name.decode().replace('"', '""')
                rows = database.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - its own name
                values = (v for row in rows for v in row if v is not None)
                if any(self.holds(v if isinstance(v, bytes) else str(v)) for v in values):
                    yield name.decode()


@contextmanager
def processes_seen() -> Iterator[set[bytes]]:
    """Every command line of the machine while the block lasts; empty where there is no /proc.

    Not their environments: that is where the settings come from.
    """
    seen: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        for process in PROCESSES.glob("[0-9]*/cmdline"):
            try:
                seen.add(process.read_bytes())
            except OSError:
                continue  # it has ended meanwhile

    def watch() -> None:
        look()
        while not over.wait(LOOK_EVERY):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
        look()


def _forms(needle: str) -> Iterator[bytes]:
    """The bytes that reveal ``needle``: itself, hex, base64 anywhere, reversed."""
    plain = needle.encode()
    yield plain
    yield plain.hex().encode()
    yield needle[::-1].encode()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + plain)
        whole = coded[-(-before * 8 // 6) : (before + len(plain)) * 8 // 6]
        yield from {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}


def _unpacked(content: bytes) -> Iterator[bytes]:
    """The unpacked parts of ``content``: gzip, zlib, or a base64 text that holds one of them."""
    try:
        if content.startswith(b"\x1f\x8b"):
            yield gzip.decompress(content)
        elif content[:1] == b"\x78":
            yield zlib.decompressobj().decompress(content)
    except (OSError, EOFError, zlib.error):
        return
    for coded in _PACKED.findall(content):
        text = coded.translate(bytes.maketrans(b"-_", b"+/"))
        if text.startswith((b"H4sI", b"eJ", b"eN", b"eA", b"eF")):
            try:
                yield base64.b64decode(text + b"=" * (-len(text) % 4))
            except ValueError:
                continue
