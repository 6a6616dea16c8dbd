"""Pages: one poll, one state, every record once."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import KEY, Api, Start


def pages(api: Api) -> list[dict[str, Any]]:
    """All pages of a poll, by following meta.next."""
    bodies = [api.poll().json()]
    while "next" in bodies[-1]["meta"]:
        bodies.append(api.client.get(bodies[-1]["meta"]["next"]).json())
    return bodies


def awbs(bodies: list[dict[str, Any]]) -> list[Any]:
    return [record["Return Request Timestamp"] for body in bodies for record in body["result"]]


@pytest.mark.parametrize("order", ["asc", "shuffled"])
def test_the_pages_together_are_the_reply_without_pages(start: Start, order: str) -> None:
    given = {"returns_per_hour": 50, "rhythm": False, "mps_share": 0, "oddities": 0}
    whole = start(order=order, **given).poll().json()
    bodies = pages(start(order=order, page_size=20, **given))
    assert [len(body["result"]) for body in bodies] == [20, 20, 10]
    assert awbs(bodies) == awbs([whole])


def test_a_full_last_page_names_no_next_one(start: Start) -> None:
    given = {"returns_per_hour": 40, "rhythm": False, "mps_share": 0, "oddities": 0}
    assert [len(body["result"]) for body in pages(start(page_size=20, **given))] == [20, 20]


def test_next_is_an_absolute_url_here_with_every_parameter(start: Start) -> None:
    api = start(page_size=1, returns_per_hour=5, rhythm=False)
    url = httpx.URL(api.poll().json()["meta"]["next"])
    assert str(url).startswith(f"{api.base_url}/v1/return_order_poll/?")
    assert dict(url.params) == {
        "key": KEY,
        "user_name": "simulator-user",
        "start_time": "2026-11-09T11:00:00",
        "end_time": "2026-11-09T12:00:00",
        "page": "2",
    }


def test_all_pages_of_a_poll_show_the_state_of_its_first(start: Start) -> None:
    slow = {"awb_slow_share": 1.0, "awb_never_share": 0.0, "mps_share": 0.0, "oddities": 0.0}
    api = start(page_size=30, returns_per_hour=60, rhythm=False, **slow)
    api.clock.now = api.clock.now.replace(day=9, hour=12, minute=0)
    first = api.poll().json()
    api.clock.forward(hours=10)
    second = api.client.get(first["meta"]["next"]).json()
    states = [record["awb"] is None for record in first["result"] + second["result"]]
    again = [record["awb"] is None for record in api.poll().json()["result"]]
    assert sum(states) > 30
    assert not any(again)


def test_pages_belong_to_the_call_of_their_poll(start: Start) -> None:
    api = start(page_size=30, returns_per_hour=50, rhythm=False)
    pages(api)
    pages(api)
    log = [(request.call, request.page) for request in api.simulator.requests]
    assert log == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_page_beyond_the_last_is_empty(start: Start) -> None:
    assert start(page_size=10, returns_per_hour=5).poll(page="99").json()["result"] == []
