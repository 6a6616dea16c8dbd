"""Claims that fail: remembered by hour, open while new failures come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import pytest
from alerts.conftest import START, Desk, evaluated, hour, situation_of, unread

from returns_orchestration.alerts.detection import failed_claims
from returns_orchestration.alerts.kinds import OfClaims
from returns_orchestration.alerts.life_cycle import Detected
from returns_orchestration.alerts.state import WATCH
from returns_orchestration.alerts.watch import Watch
from returns_orchestration.state.failing_claims import (
    Evaluation,
    Failing,
    forget,
    remember,
)

NOON = datetime(2026, 11, 9, 12, tzinfo=UTC)
CLAIM = "nothing_is_rejected"


def after(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def findings(failing: dict[str, Failing], now: datetime) -> list[OfClaims]:
    situation, detected = situation_of(Watch.first(START), now), Detected()
    situation.watch.failing = failing
    failed_claims(situation, detected)
    return cast("list[OfClaims]", detected.findings)


def known(*evaluations: Evaluation) -> dict[str, Failing]:
    failing: dict[str, Failing] = {}
    remember(failing, evaluations)
    return failing


def found(failing: dict[str, Failing], at: float = 0) -> list[tuple[str, str, int]]:
    return [(f.name, f.severity, f.size) for f in findings(failing, after(at))]


def test_hours_that_fail_the_same_claim_are_one_finding() -> None:
    failing = known(evaluated(hour(1), NOON, CLAIM), evaluated(hour(2), NOON, CLAIM))
    assert found(failing) == [("returns rejected", "problem", 2)]
    assert findings(failing, NOON)[0].periods == [hour(1).key, hour(2).key]


def test_an_hour_that_passes_when_judged_again_is_resolved() -> None:
    failing = known(evaluated(hour(1), NOON, CLAIM), evaluated(hour(2), NOON, CLAIM))
    remember(failing, [evaluated(hour(1), after(1))])
    assert found(failing) == [("returns rejected", "problem", 1)]
    remember(failing, [evaluated(hour(2), after(1), "the_text_is_utf_8", weight="warning")])
    assert found(failing) == [("check failed", "notice", 1)]


def test_a_check_clears_only_its_own_claims() -> None:
    failing = known(evaluated(hour(1), NOON, CLAIM, "the_text_is_utf_8"))
    remember(failing, [Evaluation("returns", hour(1).key, after(1), check="new_names")])
    assert len(found(failing)) == 2
    another = evaluated(hour(1), after(1), CLAIM)
    remember(failing, [replace(another, check="new_names")])
    remember(failing, [evaluated(hour(1), after(2))])
    assert found(failing, 2) == [("returns rejected", "problem", 1)]
    remember(failing, [Evaluation("returns", hour(1).key, after(3), check="new_names")])
    assert failing == {}


def test_another_check_of_an_unread_hour_does_not_clear_its_cause(desk: Desk) -> None:
    desk.live(5)
    desk.gone = {hour(5)}
    desk.live(4, lambda: [unread(hour(5), desk.now, "CredentialsRefused")])
    desk.tick(Evaluation("raw_returns", hour(5).key, desk.now, check="another"))
    assert desk.watch.refused is not None
    assert desk.watch.causes[hour(5).key].error == "CredentialsRefused"


def test_a_check_without_a_partition_changes_no_cause_of_an_hour(desk: Desk) -> None:
    desk.live(5)
    desk.gone = {hour(5)}
    desk.live(1, lambda: [unread(hour(5), desk.now, "CredentialsRefused")])
    asked_at = desk.watch.asked_at
    failed = unread(hour(5), desk.now, "")
    (claim,) = failed.failed
    news = msgspec.structs.replace(
        claim, name="new_names_are_acknowledged", figures="2 new keys", weight="warning"
    )
    desk.live(1, lambda: [Evaluation("raw_returns", "", desk.now, (news,), "new_names")])
    assert desk.watch.asked_at == asked_at
    assert desk.kinds == ["credentials refused", "check failed"]
    assert desk.titles[1] == "[notice] raw_returns: 2 new keys"
    desk.tick(Evaluation("raw_returns", "", desk.now, check="new_names"))
    assert desk.kinds == ["credentials refused"]


def test_an_hour_that_was_not_read_was_not_judged() -> None:
    failing = known(evaluated(hour(1), NOON, "no_return_vanished", asset="raw_returns"))
    remember(failing, [evaluated(hour(1), after(1), "the_hour_was_read", asset="raw_returns")])
    assert found(failing) == [("returns vanished", "problem", 1)]


def test_a_claim_without_a_new_failure_for_a_day_is_resolved() -> None:
    failing = known(evaluated(hour(1), NOON, CLAIM), evaluated(hour(2), after(20), CLAIM))
    assert found(failing, 43) == [("returns rejected", "problem", 2)]
    assert found(failing, 45) == []


def test_a_later_poll_of_a_failing_hour_is_not_a_new_failure() -> None:
    failing = known(evaluated(hour(1), NOON, CLAIM))
    remember(failing, [evaluated(hour(1), after(72), CLAIM)])
    forget(failing, after(72))
    assert found(failing, 72) == []
    remember(failing, [evaluated(hour(70), after(73), CLAIM)])
    assert found(failing, 73) == [("returns rejected", "problem", 1)]
    forget(failing, after(24 * 15))
    assert next(iter(failing.values())).periods == {hour(70).key: after(73)}


def test_the_same_evaluations_again_change_nothing() -> None:
    evaluations = [
        evaluated(hour(1), NOON, CLAIM),
        evaluated(hour(2), after(1), CLAIM),
        evaluated(hour(1), after(2)),
    ]
    once, twice = known(*evaluations), known(*evaluations, *evaluations)
    assert found(once, 3) == found(twice, 3) == [("returns rejected", "problem", 1)]


def test_claims_about_times_are_one_incident_led_by_the_digits() -> None:
    failing = known(
        evaluated(hour(1), NOON, "every_return_is_inside_its_hour_or_next_to_it", figures="9 off"),
        evaluated(
            hour(1),
            NOON,
            "every_record_is_requested_in_its_window_or_next_to_it",
            asset="raw_returns",
            figures="9 further off",
        ),
        evaluated(
            hour(1),
            after(1),
            "request_times_are_in_utc",
            "every_return_is_inside_its_hour_or_next_to_it",
            figures="+5.50 hours off",
        ),
    )
    (times,) = findings(failing, after(1))
    assert (times.name, times.severity, times.size) == ("times not as configured", "urgent", 1)
    assert times.figures == "+5.50 hours off"


@pytest.mark.parametrize(
    "claim", ["the_hour_was_read", "the_hour_was_published", "every_hour_of_the_day_is_there"]
)
def test_claims_about_missing_hours_open_no_check_incident(claim: str) -> None:
    assert known(evaluated(hour(1), NOON, claim)) == {}


@pytest.mark.parametrize(
    ("weight", "severity"),
    [("blocks", "urgent"), ("error", "problem"), ("warning", "notice"), ("?", "problem")],
)
def test_the_weight_of_a_claim_decides_the_severity(weight: str, severity: str) -> None:
    facts: dict[str, Any] = {"weight": weight}
    assert found(known(evaluated(hour(1), NOON, "the_text_is_utf_8", **facts))) == [
        ("check failed", severity, 1)
    ]


def test_incidents_forgotten_with_a_lost_memory_are_not_resolved(desk: Desk) -> None:
    desk.live(2)
    desk.tick(evaluated(hour(1), desk.now, "returns_are_conserved"))
    assert len(desk.titles) == 1
    desk.live(2)
    desk.lake.store.delete(WATCH)
    desk.live(20)
    assert desk.kinds == ["check failed"]
    assert len(desk.titles) == 1
    desk.live(6)
    assert desk.kinds == []
    assert len(desk.titles) == 2
