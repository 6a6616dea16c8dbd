"""What a column and a table are, and the types that columns have."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TIME = pl.Datetime("us", "UTC")
TEXT = pl.String()
NUMBER = pl.Int64()
RATE = pl.Float64()
FLAG = pl.Boolean()
DAY = pl.Date()
TEXTS = pl.List(pl.String)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

FEW: Final = 100
"""Lists of texts that polars takes one by one; more of them cost it a tenth joined, then split."""
JOINT: Final = "\x1f"
"""White space that no text of a table holds; see `stages/values.text`."""

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

    def series(self, values: Sequence[object]) -> pl.Series:
        """The column from values; one of a wrong type raises TypeError."""
        if self.dtype == TIME:  # a tenth of the time that polars takes for the times themselves
            values = [None if value is None else _microseconds(value) for value in values]
        if self.dtype == TEXTS and len(values) > FEW and all(map(_can_be_joined, values)):
            # The first part is empty, so that no text and one empty text differ.
            joined = [None if texts is None else JOINT.join(("", *texts)) for texts in values]  # type: ignore[misc]
            return pl.Series(self.name, joined, TEXT).str.split(JOINT).list.slice(1)
        return pl.Series(self.name, values, self.dtype)


def _can_be_joined(texts: object) -> bool:
    """Whether a list of texts, or null, can be given to polars as one text."""
    return texts is None or (isinstance(texts, list) and not any(JOINT in text for text in texts))


def _microseconds(value: object) -> int:
    """Those since 1970. Raises TypeError for what is no time with a zone."""
    return (value - EPOCH) // MICROSECOND  # type: ignore[operator, no-any-return]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; ``grain`` completes the sentence "One row per ...".

    ``statistics``: whether its files' footers hold the least and the greatest value of each column.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    statistics: bool = True
    schema: pl.Schema = field(init=False, repr=False, compare=False)
    """Column names and types, the same in every file, empty ones included."""

    def __post_init__(self) -> None:
        """Note the schema, which is asked for dozens of times an hour."""
        schema = pl.Schema({column.name: column.dtype for column in self.columns})
        object.__setattr__(self, "schema", schema)

    def frame(self, columns: dict[str, list[object]]) -> pl.DataFrame:
        """A frame of this table from lists of values; a value of a wrong type raises TypeError."""
        return pl.DataFrame([column.series(columns[column.name]) for column in self.columns])

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
