"""One return of thousands of pieces, end to end: no step compares each piece with each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from support.records import Record, item, with_items
from support.rows import HOUR

from returns_orchestration.flow.outcomes import Made
from returns_orchestration.lake import Lake, open_store

if TYPE_CHECKING:
    from pathlib import Path

MANY = 4_000
SECONDS = 12
"""Generous: a comparison of each piece with each takes minutes."""


def served(prefix: str, status: str) -> list[Record]:
    return [
        {
            **with_items([item(f"S-{number}", quantity=2)]),
            "awb": f"{prefix}{number}",
            "return_tracking_id": None,
            "status": status,
        }
        for number in range(MANY)
    ]


def test_a_return_of_thousands_of_pieces_is_made_in_time(tmp_path: Path, api_of: Any) -> None:
    lake = Lake(open_store(str(tmp_path)))
    polls = [served("A", "NEW"), served("A", "SUCCESS"), served("B", "SUCCESS")]
    api = api_of(lambda _: polls.pop(0))
    began = time.process_time()
    for prefix in "AAB":
        made = [outcome for outcome in api.run(lake, [HOUR]) if isinstance(outcome, Made)]
        frames = made[0].built.frames
        row = frames["returns"].row(0, named=True)
        assert (frames["returns"].height, row["pieces"]) == (1, MANY)
        assert row["awbs"] == [f"{prefix}{number}" for number in range(MANY)]
        assert frames["return_items"].height == MANY
        assert frames["refund_modes_hourly"].get_column("quantity").sum() == 2 * MANY
    assert time.process_time() - began < SECONDS
