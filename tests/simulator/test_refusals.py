"""What the API refuses, word for word as documented."""

from __future__ import annotations

import pytest

from .conftest import KEY, USER_NAME, Start

AUTH_FAILED = {
    "meta": {
        "status": 301,
        "success": False,
        "message": "Authentication Failed: Invalid Token or API Key",
    }
}
WRONG = [{"key": "other"}, {"user_name": "other"}, {"key": USER_NAME, "user_name": KEY}]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("status", [200, 301])
def test_wrong_credentials(start: Start, wrong: dict[str, str], status: int) -> None:
    response = start(auth_http_status=status).poll(**wrong)
    assert response.status_code == status
    assert response.json() == AUTH_FAILED
    assert "location" not in response.headers


def test_other_credentials_can_be_chosen(start: Start) -> None:
    api = start(key="k2", user_name="u2")
    assert api.poll().json() == AUTH_FAILED
    assert api.poll(key="k2", user_name="u2").json()["meta"]["success"] is True


@pytest.mark.parametrize("name", ["key", "user_name", "start_time", "end_time"])
def test_a_missing_or_empty_parameter(start: Start, name: str) -> None:
    api = start()
    for value in (None, ""):
        response = api.poll(**{name: value})
        meta = response.json()["meta"]
        assert (response.status_code, meta["status"], meta["success"]) == (200, 400, False)
        assert name in meta["message"]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-09 11:00:00",
        "2026-11-09T11:00",
        "2026-11-09T11:00:00Z",
        "2026-11-09T11:00:00.000000",
        "2026-11-09T11:00:00+00:00",
        "2026-13-09T11:00:00",
        "soon",
    ],
)
def test_a_malformed_time(start: Start, text: str) -> None:
    response = start().poll(start_time=text)
    body = response.json()
    assert response.status_code == 200
    assert body["meta"]["status"] == 400
    assert "start_time" in body["meta"]["message"]
    assert "result" not in body


def test_sixty_minutes_are_accepted_and_a_second_more_is_refused(start: Start) -> None:
    api = start()
    assert api.poll(end_time="2026-11-09T12:00:00").json()["meta"]["success"] is True
    response = api.poll(end_time="2026-11-09T12:00:01")
    assert response.status_code == 400
    assert response.json() == {
        "meta": {
            "status": 400,
            "success": False,
            "message": {
                "Time Difference": ["Start Time is ahead of End time by more than 60 Minutes"]
            },
        }
    }


def test_an_end_before_its_start(start: Start) -> None:
    response = start().poll(end_time="2026-11-09T10:59:59")
    assert (response.status_code, response.json()["meta"]["status"]) == (400, 400)


def test_a_page_that_is_not_a_number(start: Start) -> None:
    api = start()
    for page in ("0", "two", "-1"):
        assert api.poll(page=page).json()["meta"]["status"] == 400


def test_another_method(start: Start) -> None:
    api = start()
    response = api.client.post(f"{api.base_url}/v1/return_order_poll/")
    assert response.status_code == 405
    assert response.json() == {"detail": 'Method "POST" not allowed.'}


@pytest.mark.parametrize("path", ["/v1/return_order_poll", "/v2/return_order_poll/", "/", ""])
def test_an_unknown_path(start: Start, path: str) -> None:
    api = start()
    assert api.client.get(f"{api.base_url}{path}").status_code == 404
    assert api.simulator.requests[-1].refusal == "path"


def test_an_empty_window_is_an_empty_list_or_null(start: Start) -> None:
    body = start(returns_per_hour=0).poll().json()
    assert body == {
        "meta": {"success": True, "message": "SUCCESS", "status": 200},
        "result": [],
    }
    assert start(returns_per_hour=0, empty_as_null=True).poll().json()["result"] is None
    assert start(empty_as_null=True).poll().json()["result"]
