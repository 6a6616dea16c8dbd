"""Deliveries are blanked before they are put into the lake, as polls are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from returns_orchestration.stages.erasure import Blanking
from returns_orchestration.stages.webhooks import blanked_bodies

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    import polars as pl

    from returns_orchestration.lake import Lake
    from returns_orchestration.lake.webhooks import Blank
    from returns_orchestration.stages.typing import RecordReader
    from returns_orchestration.window import Window


def blanking_as_received(
    lake: Lake,
    reader: RecordReader,
    keep_raw: timedelta | None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Blank:
    """Blanks deliveries before they are put into ``lake``, as receipts and RETURNS_RAW_DAYS ask.

    The function raises LakeDamaged where a receipt cannot be read: then nothing may land.
    """

    def blank(window: Window, raw: pl.DataFrame) -> pl.DataFrame:
        old = None if keep_raw is None else clock() - keep_raw
        blanking = Blanking(lake.receipts.all(), old)
        if not blanking.concerns(window):
            return raw
        found = blanked_bodies(raw, window, blanking, reader)
        if blanking.found:  # first, so that what is blanked here is blanked elsewhere, too
            lake.receipts.add(lake.receipts.of(blanking.take_found(), clock()))
        return found

    return blank
