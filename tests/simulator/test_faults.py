"""Faults as values: which requests they strike, and how text becomes one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from returns_orchestration.simulator import FAULT_NAMES, Fault, parse_fault
from returns_orchestration.simulator.breakage import BREAKAGE
from returns_orchestration.simulator.moments import to_micros

if TYPE_CHECKING:
    from .conftest import Start

ELEVEN = datetime(2026, 11, 9, 11, tzinfo=UTC)
FIFTEEN = datetime(2026, 11, 9, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("503", Fault("503")),
        ("503:1", Fault("503", frozenset({1}))),
        ("503:1,2", Fault("503", frozenset({1, 2}))),
        ("503:*", Fault("503", None)),
        ("429-date::2026-11-09T11:00", Fault("429-date", windows=frozenset({ELEVEN}))),
        ("reset:2:*", Fault("reset", frozenset({2}))),
        (
            "503:*:2026-11-09T11:00,2026-11-09T15:00",
            Fault("503", None, frozenset({ELEVEN, FIFTEEN})),
        ),
        ("cut-json@2", Fault("cut-json", pages=frozenset({2}))),
        ("cut-json@2,3:*", Fault("cut-json", None, pages=frozenset({2, 3}))),
    ],
)
def test_text_becomes_a_fault(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("504", "no fault is called '504'; there are 429-seconds"),
        ("", "no fault is called"),
        ("503:0", "count from 1"),
        ("503:x", "invalid literal"),
        ("503@0", "count from 1"),
        ("503:1:noon", "Invalid isoformat"),
    ],
)
def test_invalid_text_is_refused_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_fault(text)


def test_a_naive_window_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        Fault("503", windows=frozenset({ELEVEN.replace(tzinfo=None)}))


def test_every_name_has_its_breakage_and_a_description() -> None:
    assert set(BREAKAGE) == set(FAULT_NAMES)
    assert all(Fault(name).about for name in FAULT_NAMES)


def test_a_fault_strikes_its_calls_pages_and_windows_only() -> None:
    fault = Fault("503", frozenset({2}), frozenset({ELEVEN}), frozenset({1, 3}))
    eleven, fifteen = to_micros(ELEVEN), to_micros(FIFTEEN)
    assert fault.strikes(eleven, 1, 2)
    assert fault.strikes(eleven, 3, 2)
    assert not fault.strikes(eleven, 2, 2)
    assert not fault.strikes(eleven, 1, 1)
    assert not fault.strikes(fifteen, 1, 2)


def test_calls_are_counted_for_each_window(start: Start) -> None:
    api = start(faults=["503:1,3", "500:*:2026-11-09T15:00"])
    assert [api.poll().status_code for _ in range(4)] == [503, 200, 503, 200]
    afternoon = {"start_time": "2026-11-09T15:00:00", "end_time": "2026-11-09T16:00:00"}
    assert [api.poll(**afternoon).status_code for _ in range(3)] == [503, 500, 503]


def test_faults_change_while_the_server_runs(start: Start) -> None:
    api = start()
    assert api.poll().status_code == 200
    api.simulator.faults = ["503:*"]
    assert api.poll().status_code == 503
    api.simulator.faults = []
    assert api.poll().status_code == 200
    assert api.simulator.faults == ()


def test_forgetting_restarts_the_count(start: Start) -> None:
    api = start(faults=["503:1"])
    assert [api.poll().status_code, api.poll().status_code] == [503, 200]
    api.simulator.forget()
    assert api.poll().status_code == 503
    assert len(api.simulator.requests) == 1


def test_a_fault_on_a_further_page_strikes_its_first_request_only(start: Start) -> None:
    api = start(faults=["503@2"], page_size=5, returns_per_hour=8, rhythm=False)
    following = api.poll().json()["meta"]["next"]
    assert api.client.get(following).status_code == 503
    assert api.client.get(following).status_code == 200


def test_refused_requests_are_not_counted_as_calls(start: Start) -> None:
    api = start(faults=["503:1"])
    assert api.poll(key="wrong").status_code == 200
    assert api.poll(end_time="2026-11-09T13:00:00").status_code == 400
    assert api.poll().status_code == 503
