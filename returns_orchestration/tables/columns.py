"""What a column and a table are, and the types that columns have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME = pl.Datetime("us", "UTC")
TEXT = pl.String()
NUMBER = pl.Int64()
RATE = pl.Float64()
FLAG = pl.Boolean()
DAY = pl.Date()
TEXTS = pl.List(pl.String)

TYPE_NAMES: dict[pl.DataType, str] = {
    TIME: 'Datetime("us", "UTC")',
    TEXT: "String",
    NUMBER: "Int64",
    RATE: "Float64",
    FLAG: "Boolean",
    DAY: "Date",
    TEXTS: "List(String)",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``place`` and ``key`` give its place in the API's record, if it has one."""

    name: str
    dtype: pl.DataType
    meaning: str
    nullable: bool = True
    place: str = ""
    key: str = ""

    @property
    def type_name(self) -> str:
        """The type as polars writes it."""
        return TYPE_NAMES[self.dtype]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; ``grain`` completes the sentence "One row per ...".

    ``statistics``: whether its files' footers hold the least and the greatest value of each column.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    statistics: bool = True

    @property
    def schema(self) -> pl.Schema:
        """Column names and types, the same in every file, empty ones included."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    def frame(self, columns: dict[str, list[object]]) -> pl.DataFrame:
        """A frame of this table from lists of values; a value of a wrong type raises TypeError."""
        return pl.DataFrame(columns, schema=self.schema, strict=True)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A frame of an earlier release in today's columns: missing ones are null."""
        if frame.schema == self.schema:
            return frame
        return frame.select(
            pl.col(column.name).cast(column.dtype, strict=False)
            if column.name in frame.columns
            else pl.lit(None, column.dtype).alias(column.name)
            for column in self.columns
        )

    def empty(self) -> pl.DataFrame:
        """The table with no rows."""
        return pl.DataFrame(schema=self.schema)

    def markdown(self) -> Iterator[str]:
        """The lines of the reference about this table."""
        yield f"## `{self.name}`"
        yield ""
        yield f"One row per {self.grain}."
        yield ""
        yield "| column | type | null | meaning |"
        yield "|---|---|---|---|"
        for column in self.columns:
            null = "yes" if column.nullable else "no"
            yield f"| `{column.name}` | {column.type_name} | {null} | {column.meaning} |"
