"""The return that a search is for: which records are of it, and tables read for it.

A file that is damaged ends no search: it is noted, and the rest is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.stages.typing import Refused, decode

if TYPE_CHECKING:
    import polars as pl

    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.stages.typing import RecordReader
    from returns_orchestration.window import Window

Row = dict[str, Any]
"""A row of a table, by the names of its columns."""


class SoughtReturn:
    """The return ``reference`` in ``lake``."""

    def __init__(self, lake: Lake, reader: RecordReader, reference: str) -> None:
        self.lake = lake
        self.reader = reader
        self.reference = reference
        self.names = lake.names()
        """Names that are loaded hour by hour, as the search gets there."""
        self.unread: list[str] = []
        """Files that could not be read, each once."""

    def is_named_by(self, record: str) -> bool:
        """Whether a record that cannot be used names this return all the same."""
        head = self.reader.head(decode(record))
        reference = head.reference if isinstance(head, Refused) else head[0]
        return reference == self.reference

    def read(self, table: tables.Table, window: Window, names: Names) -> pl.DataFrame | None:
        """A table of one hour; None where it is not made, or cannot be read, which is noted."""
        try:
            return self.lake.read(table, window, names)
        except LakeDamaged as error:
            self.note(error)
            return None

    def rejected_rows(self, window: Window, names: Names) -> list[Row]:
        """The rows of `rejected_returns` of one hour that name this return."""
        frame = self.read(tables.REJECTED_RETURNS, window, names)
        rows = [] if frame is None else frame.rows(named=True)
        return [row for row in rows if self.is_named_by(row["record"])]

    def note(self, error: LakeDamaged) -> None:
        """Note a file that cannot be read."""
        if str(error) not in self.unread:
            self.unread.append(str(error))
