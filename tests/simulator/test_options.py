"""Options: good ones pass, bad ones are refused with what is allowed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from returns_orchestration.simulator import ODDITY_NAMES, SimulatorOptions

HOURS = timedelta(hours=1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"returns_per_hour": -1}, "returns_per_hour must be 0 to 200000, got -1"),
        ({"returns_per_hour": float("nan")}, "returns_per_hour"),
        ({"oddities": 1.5}, "oddities is a share, 0 to 1, got 1.5"),
        ({"late_share": -0.1}, "late_share is a share"),
        ({"awb_slow_share": 0.7, "awb_never_share": 0.5}, "exceed 1, got 1.2"),
        ({"oddities": 0.7, "unusable": 0.5}, "oddities and unusable exceed 1"),
        ({"late_by": (2 * HOURS, HOURS)}, "late_by must be two rising times"),
        ({"awb_slow_by": (HOURS, 100 * HOURS)}, "awb_slow_by must be two rising times"),
        ({"only_oddities": ("purple",)}, "no oddity is called 'purple'; there are account-absent"),
        ({"troubles_from": datetime(2026, 11, 9, tzinfo=UTC)}, "troubles_from needs shop"),
        (
            {"shop": True, "troubles_from": datetime(2026, 11, 9)},  # noqa: DTZ001 - the case
            "troubles_from must have a zone",
        ),
        ({"edge_rule": "[["}, r"edge_rule must be one of \[\), \[\], \(\], second, \(\)"),
        ({"filter_on": "created"}, "filter_on must be one of requested, timestamp"),
        ({"order": "random"}, "order must be one of asc, desc, shuffled"),
        ({"zone": "India"}, "zone must be an IANA name"),
        ({"zone": "../etc"}, "zone must be an IANA name"),
        ({"auth_http_status": 401}, "auth_http_status must be 200 or 301"),
        ({"page_size": 0}, "page_size must be 1 or more"),
        ({"latency": -1}, "latency must be 0 seconds or more"),
        ({"rate_limit": 0}, "rate_limit must be 1 request a second or more"),
        ({"key": ""}, "key and user_name must not be empty"),
    ],
)
def test_options_that_cannot_be_simulated_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SimulatorOptions(**given)


def test_options_are_frozen_and_compare_by_value() -> None:
    options = SimulatorOptions()
    assert options == SimulatorOptions()
    assert hash(options) == hash(SimulatorOptions())
    with pytest.raises(FrozenInstanceError):
        options.seed = 3  # type: ignore[misc]


def test_every_oddity_may_be_named() -> None:
    assert SimulatorOptions(only_oddities=ODDITY_NAMES).only_oddities == ODDITY_NAMES


def test_the_credentials_are_not_shown() -> None:
    shown = repr(SimulatorOptions(key="k-secret", user_name="u-secret"))
    assert "secret" not in shown
