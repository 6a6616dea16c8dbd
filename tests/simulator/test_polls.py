"""Counting polls, keeping pages, limiting the rate: without a server."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from returns_orchestration.simulator.polls import Polls, RateLimit

if TYPE_CHECKING:
    from .conftest import Start


def test_each_first_page_begins_a_poll_and_further_pages_belong_to_it() -> None:
    polls = Polls()
    asked = [(1, 10), (2, 20), (2, 30), (1, 40), (2, 50)]
    seen = []
    for page, now in asked:
        poll, nth = polls.register(0, 3_600, page, now)
        seen.append((poll.call, poll.at, nth))
    assert seen == [(1, 10, 1), (1, 10, 1), (1, 10, 2), (2, 40, 2), (2, 40, 3)]
    assert polls.register(0, 1_800, 1, 60)[0].call == 1


def test_records_of_a_paged_poll_are_made_once_and_few_are_kept() -> None:
    polls = Polls()
    made = []

    def make(call: int) -> list[bytes]:
        made.append(call)
        return [b"%d" % call]

    for call in (1, 1, 2, 3, 4, 5, 5):
        assert polls.records(0, 1, call, partial(make, call)) == [b"%d" % call]
    assert made == [1, 2, 3, 4, 5]
    polls.records(0, 1, 1, partial(make, 1))
    assert made[-1] == 1


def test_the_rate_limit_counts_requests_within_a_second() -> None:
    now = 0.0
    limit = RateLimit(2, lambda: now)
    assert [limit.accepts() for _ in range(4)] == [True, True, False, False]
    now = 0.999
    assert not limit.accepts()
    now = 1.0
    assert [limit.accepts() for _ in range(3)] == [True, True, False]


def test_without_a_ceiling_all_pass() -> None:
    limit = RateLimit(None, lambda: 0.0)
    assert all(limit.accepts() for _ in range(1_000))


def test_beyond_the_limit_the_server_answers_429(start: Start) -> None:
    now = [0.0]
    api = start(rate_limit=2, faults=["503:1"], monotonic=lambda: now[0])
    responses = [api.poll() for _ in range(3)]
    assert [one.status_code for one in responses] == [503, 200, 429]
    assert responses[-1].headers["retry-after"] == "1"
    now[0] = 1.0
    assert api.poll().status_code == 200
    log = [(one.call, one.http_status, one.refusal) for one in api.simulator.requests]
    assert log == [(1, 503, None), (2, 200, None), (None, 429, "rate"), (3, 200, None)]
