"""The request log: every request as a record, in memory and, if wanted, in a file of JSON lines.

It never holds the key or the user name: only the parsed values of a request are kept, never the
client's text.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import msgspec

if TYPE_CHECKING:
    from datetime import datetime

_KEPT = 100_000  # about four times a year of calls with their repeats; older ones are dropped


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request.

    time         the simulator's clock, aware UTC
    start_time   as asked, YYYY-MM-DDThh:mm:ss; None if missing or unreadable
    end_time     likewise
    page         1 unless a further page was asked for
    call         which poll of the window this belongs to, from 1; None if it was refused
    http_status  as sent; None where nothing was
    fault        the fault's name, or None
    refusal      credentials, parameter, window, rate, method or path; None if it was accepted
    served       records in the reply that a client could have read
    """

    time: datetime
    start_time: str | None = None
    end_time: str | None = None
    page: int = 1
    call: int | None = None
    http_status: int | None = None
    fault: str | None = None
    refusal: str | None = None
    served: int = 0


class Journal:
    """Keeps request records, in order. Appends to the file only between `open` and `close`."""

    def __init__(self, path: Path | str | None = None) -> None:
        """Remember the path; nothing is opened yet."""
        self._path = None if path is None else Path(path)
        self._kept: deque[RequestRecord] = deque(maxlen=_KEPT)
        self._file: TextIO | None = None

    def open(self) -> None:
        """Open the file for appending, line by line. OSError if that cannot be done."""
        if self._path is not None and self._file is None:
            self._file = self._path.open("a", buffering=1, encoding="utf-8")

    def close(self) -> None:
        """Close the file, if any."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def note(self, record: RequestRecord) -> None:
        """Add a record."""
        self._kept.append(record)
        if self._file is not None:
            self._file.write(msgspec.json.encode(asdict(record)).decode() + "\n")

    def records(self) -> tuple[RequestRecord, ...]:
        """All records kept, oldest first: a snapshot."""
        return tuple(self._kept)

    def clear(self) -> None:
        """Forget the records in memory; the file keeps its lines."""
        self._kept.clear()
