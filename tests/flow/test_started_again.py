"""A failed run that is repeated polls only the hours that it had not landed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.records import at, returned

from returns_orchestration.errors import ServerFault
from returns_orchestration.flow.outcomes import Failed, Made
from returns_orchestration.window import windows_between

if TYPE_CHECKING:
    from returns_orchestration.lake import Lake

HOURS = list(windows_between(at(1), at(6)))


def test_windows_polled_since_the_first_start_are_not_polled_again(lake: Lake, api_of: Any) -> None:
    api = api_of(lambda window: [returned(window.key, window.start)])
    api.errors = {HOURS[2]: ServerFault("It is down.")}
    started = at(100)
    first = api.run(lake, HOURS)
    assert [o.window for o in first if isinstance(o, Failed)] == [HOURS[2]]
    api.errors.clear()
    api.asked.clear()
    again = api.run(lake, HOURS, polled_since=started)
    assert api.asked == [HOURS[2]]
    # Every hour is made and reported again: the failed run may not have done so.
    assert {o.window for o in again if isinstance(o, Made) and o.asked} == set(HOURS)


def test_windows_polled_before_the_first_start_are_polled_again(lake: Lake, api_of: Any) -> None:
    api = api_of(lambda _: [])
    api.run(lake, HOURS)
    api.asked.clear()
    api.run(lake, HOURS, polled_since=at(1_000))
    assert api.asked == HOURS
