"""New names in alerts: one notice for those of a date, resolved when they are acknowledged."""

from __future__ import annotations

from alerts.conftest import Desk, evaluated, hour

from returns_orchestration.lake.news import NewName
from returns_orchestration.state.failing_claims import Evaluation
from returns_orchestration.state.news import CHECK

FEE = NewName(kind="key", name="record.fee", hour=hour(1).key)
CODE = NewName(kind="code", name="1005", hour=hour(2).key)


def look(desk: Desk, *claims: str) -> None:
    failed = evaluated(hour(0), desk.now, *claims, weight="warning").failed
    desk.tick(Evaluation("returns", "", desk.now, failed, CHECK))


def test_the_new_names_of_a_date_are_one_notice(desk: Desk) -> None:
    desk.live(3)
    desk.lake.news.note([FEE, CODE])
    look(desk, "new_keys_are_acknowledged", "new_codes_are_acknowledged")
    assert desk.titles == ["[notice] ClickPost sends 1 unknown status code and 1 new key"]
    look(desk, "new_keys_are_acknowledged", "new_codes_are_acknowledged")
    desk.live(4)
    assert len(desk.titles) == 1
    assert desk.kinds == ["new names"]


def test_names_of_a_later_date_are_a_separate_notice(desk: Desk) -> None:
    desk.live(3)
    desk.lake.news.note([FEE])
    look(desk, "new_keys_are_acknowledged")
    desk.lake.news.note([NewName(kind="key", name="record.tax", hour=hour(30).key)])
    desk.live(31)
    look(desk, "new_keys_are_acknowledged")
    assert desk.titles == ["[notice] ClickPost sends 1 new key"] * 2


def test_they_are_resolved_when_all_are_acknowledged_and_not_by_time(desk: Desk) -> None:
    desk.live(3)
    desk.lake.news.note([FEE, CODE])
    look(desk, "new_keys_are_acknowledged", "new_codes_are_acknowledged")
    desk.live(60)
    assert len(desk.titles) == 1
    desk.lake.news.acknowledge(FEE)
    look(desk, "new_codes_are_acknowledged")
    assert len(desk.titles) == 1
    desk.lake.news.acknowledge(CODE)
    look(desk)
    assert desk.titles[1:] == [f"[resolved] The new names of {FEE.hour[:10]} are acknowledged"]
