"""The search itself: it finds a needle planted in each kind of place, and no false ones."""

from __future__ import annotations

import base64
import gzip
import html
import json
import logging
import random
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus

import polars as pl
import pytest
from proof.scene import canary, error_told, every_log
from proof.search import ANYWHERE, PROCESSES, Search, processes_seen

SECRET = canary(random.Random(7))
SEARCH = Search(SECRET.tokens)
ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper": str.upper,
    "percent": quote,
    "plus": quote_plus,
    "html": html.escape,
    "json": json.dumps,
    "json in json": lambda text: json.dumps(json.dumps(text)),
    "repr": repr,
    "its beginning": lambda text: text[:11],
    "its end": lambda text: text[10:],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of user:password": lambda text: base64.b64encode(f"me:{text}".encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(f"a{text}".encode()).decode(),
    "reversed": lambda text: text[::-1],
    "hex": lambda text: text.encode().hex(),
    "gzip in base64": lambda text: base64.b64encode(gzip.compress(text.encode() * 9)).decode(),
    "zlib in base64": lambda text: base64.b64encode(zlib.compress(text.encode() * 9)).decode(),
}


def database(file: Path, value: str | bytes) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute('CREATE TABLE "odd ""name" (number INTEGER, value)')
        connection.execute('INSERT INTO "odd ""name" VALUES (1, ?)', (value,))


def planted(file: Path, text: str) -> dict[str, Callable[[], object]]:
    """A file that holds ``text``, for each way of holding it."""
    secret = text.encode()
    odd = 'table odd "name'
    frame = pl.DataFrame({"other": ["x"] * 50, "value": [text] * 50})
    return {
        "": lambda: file.write_bytes(b"GET /?key=" + secret),
        ", column value": lambda: frame.write_parquet(file, compression="zstd"),
        ", column value ": lambda: frame.group_by("other").all().write_parquet(file),
        f", {odd}": lambda: database(file, text),
        f", {odd} ": lambda: database(file, zlib.compress(secret * 9)),
        f", {odd}  ": lambda: database(file, gzip.compress(zlib.compress(secret * 9))),
        " ": lambda: file.write_bytes(gzip.compress(secret * 9)),
        "  ": lambda: file.write_bytes(zlib.compress(secret * 9)),
    }


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_encoding_hides_a_secret(encoding: str) -> None:
    assert SEARCH.holds(ENCODINGS[encoding](SECRET.text))
    assert not SEARCH.holds(ENCODINGS[encoding]("nothing of the kind"))


@pytest.mark.parametrize("place", planted(Path(), ""))
def test_a_secret_is_found_in_every_kind_of_file(tmp_path: Path, place: str) -> None:
    planted(tmp_path / "file", SECRET.text)[place]()
    assert f"file{place.rstrip()}" in list(SEARCH.below(tmp_path))
    assert list(SEARCH.below(tmp_path, lambda _: ANYWHERE)) == []
    planted(tmp_path / "clean", "nothing of the kind")[place]()
    assert not [where for where in SEARCH.below(tmp_path) if "clean" in where]


def test_a_secret_is_found_in_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / f"of-{SECRET.tokens[0]}").touch()
    assert len(list(SEARCH.below(tmp_path))) == 1


def test_only_the_columns_that_may_hold_it_are_exempt(tmp_path: Path) -> None:
    frame = pl.DataFrame({"location": [SECRET.text], "remark": [f"see {SECRET.text}"]})
    frame.write_parquet(tmp_path / "file")
    may = frozenset({"location"})
    assert list(SEARCH.below(tmp_path, lambda _: may)) == ["file, column remark"]


def test_damaged_files_are_searched_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"PAR1" + SECRET.text.encode())
    (tmp_path / "b").write_bytes(b"SQLite format 3\0" + SECRET.text.encode())
    (tmp_path / "c").write_bytes(b"\x1f\x8b" + SECRET.text.encode())
    assert list(SEARCH.below(tmp_path)) == ["a", "b", "c"]


@pytest.mark.skipif(not PROCESSES.is_dir(), reason="there is no /proc")
def test_a_secret_is_found_in_a_command_line() -> None:
    with processes_seen() as lines:
        waits = [sys.executable, "-c", "input()", SECRET.text]
        with subprocess.Popen(waits, stdin=subprocess.PIPE) as process:  # noqa: S603 - our own
            while not any(map(SEARCH.holds, list(lines))):
                assert process.poll() is None
            process.communicate(b"\n")
    assert any(map(SEARCH.holds, lines))


def test_logs_below_debug_and_causes_of_errors_are_searched() -> None:
    log = logging.getLogger("returns_orchestration.search")
    with every_log() as lines:
        log.log(1, "asked %s", SECRET.text)
    assert any(map(SEARCH.holds, lines))
    cause = ValueError("no")
    cause.asked = SECRET.text  # type: ignore[attr-defined]
    error = RuntimeError("no")
    error.__context__ = cause
    assert SEARCH.holds(error_told(error))
