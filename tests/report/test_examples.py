"""Each question of examples/queries.sql runs, and its answer is no accident."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from flow.conftest import FakeApi
from support.records import at, returned, wire_time
from support.webhooks import pipeline, received, webhook

from returns_orchestration import tables
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.report import views
from returns_orchestration.window import Window, windows_between

FILE = Path(__file__).parents[2] / "examples" / "queries.sql"
QUESTIONS = [
    (block.partition("\n")[0].removeprefix("-- "), block)
    for block in re.split(r"\n\n(?=-- )", FILE.read_text())[1:]
]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """Three days of returns, polled late, with webhooks of some, and what is made of the lake."""
    folder = tmp_path_factory.mktemp("lake")
    lake = Lake(FolderStore(folder), lambda: at(900))

    def served(window: Window) -> list[dict[str, object]]:
        status = {"clickpost_status_code": 4, "timestamp": wire_time(window.end)}
        payload = {
            **status,
            "additional": {"latest_status": status},
            "pickup_info": {"pickup_state": "Gujarat", "pickup_pincode": "380015"},
        }
        return [returned(window.key, window.start, webhook_payload=payload)]

    windows = list(windows_between(at(0), at(72)))
    api = FakeApi(served, now=at(900), always_at=at(800))
    api.run(lake, windows)
    received(
        lake, *((w.start, webhook(returned(w.key, w.start))) for w in windows[:50]),
    )  # fmt: skip
    assert not pipeline(lake, at(900)).run({w.start.date() for w in windows}).failed
    picked_up = {"clickpost_status_code": 4, "timestamp": wire_time(at(850))}
    received(lake, (at(851), webhook(returned(windows[0].key, at(0)), **picked_up)), first=100)
    assert not pipeline(lake, at(900)).run().failed
    api.pipeline(lake).all_time.build()
    there = [t.name for t in tables.TABLES if list(folder.glob(f"{t.name}/**/*.parquet"))]
    opened = duckdb.connect()
    opened.execute(views.sql(str(folder), there))
    return opened


@pytest.mark.parametrize(("title", "question"), QUESTIONS, ids=[title for title, _ in QUESTIONS])
def test_it_has_an_answer(title: str, question: str, connection: duckdb.DuckDBPyConnection) -> None:
    assert title.endswith(".")
    rows = connection.sql(question).fetchall()
    assert rows
    assert not all(value is None for row in rows for value in row)


def test_there_are_questions() -> None:
    assert len(QUESTIONS) >= 8
