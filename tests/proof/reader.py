"""A reader that looks at every table in a loop while others write and are killed.

As a script it reads until its standard input is closed, then reports its findings.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

TABLES = (
    "raw_returns",
    "returns",
    "return_items",
    "return_states",
    "refund_modes_hourly",
    "return_reasons_hourly",
    "rejected_returns",
    "refund_modes_daily",
    "return_reasons_daily",
)
NAME = re.compile(r"(part-0|poll-[0-9]{4,})\.parquet")
"""The content that the contract allows a reader of a table to find."""


@dataclass
class Seen:
    """How often a reader looked at a table, and the faults of its looks."""

    looks: int = 0
    faults: list[str] = field(default_factory=list)


@contextmanager
def reading(lake: Path) -> Iterator[Seen]:
    """A process that reads ``lake``; its findings are known at the end."""
    seen = Seen()
    with subprocess.Popen(  # noqa: S603 - this very file
        [sys.executable, __file__, str(lake)],
        env=os.environ | {"POLARS_MAX_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield seen
            answer, _ = process.communicate(timeout=120)
            found = json.loads(answer)
            seen.looks, seen.faults = found["looks"], found["faults"]
        finally:
            process.kill()


def look(lake: Path, table: str) -> Iterator[str]:
    """The faults of one look at a table: every file whole, every name known, no return twice.

    A file is opened once: a reader that opens it twice, as `scan_parquet` does for footer and
    pages, may get two versions of a file that is replaced in between, and has to scan again.
    """
    files = _files(lake, table)
    frames = []
    for path in files:
        if not NAME.fullmatch(path.name):
            yield f"{path.name} stands in {table}"
        try:
            frames.append(pl.read_parquet(io.BytesIO(path.read_bytes())))
        except (pl.exceptions.PolarsError, OSError) as error:
            yield f"{path} could not be read: {error}"[:300]
            return
    # A reader during changes sees one hour before and another after a change.
    if table == "returns" and frames and files == _files(lake, table):
        references = pl.concat(frames).get_column("return_reference_number")
        if references.is_duplicated().any():
            yield "a return stands in returns twice"


def _files(lake: Path, table: str) -> dict[Path, tuple[int, int]]:
    """Every file of a table, and a mark that distinguishes its versions."""
    folder = str(lake / table)
    paths = (Path(at) / name for at, _, names in os.walk(folder) for name in names)
    stats = {path: path.stat() for path in paths}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in stats.items()}


def main() -> None:
    """Look at the lake until the standard input is closed."""
    lake, over = Path(sys.argv[1]), threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    looks, faults = 0, []
    while not over.is_set():
        for table in TABLES:
            looks += 1
            faults += [fault for fault in look(lake, table) if fault not in faults]
        over.wait(0.02)
    json.dump({"looks": looks, "faults": faults}, sys.stdout)


if __name__ == "__main__":
    main()
