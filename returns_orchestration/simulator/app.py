"""The API as an ASGI application: one endpoint, judged in the order in which a server judges.

Method, rate, parameters, credentials, times, window; then the poll is counted, and a fault or the
records follow. Every request is noted before its reply is sent, so that a test that has the reply
finds it in the log.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from returns_orchestration.simulator import replies
from returns_orchestration.simulator.breakage import (
    BREAKAGE,
    JSON,
    STILL_CORRECT,
    Exchange,
    Outcome,
    RawReply,
    too_many,
)
from returns_orchestration.simulator.faults import Fault, striking
from returns_orchestration.simulator.journal import Journal, RequestRecord
from returns_orchestration.simulator.moments import (
    HOUR,
    Micros,
    from_micros,
    read_query_time,
    to_micros,
    zone_named,
)
from returns_orchestration.simulator.replies import RefusedError
from returns_orchestration.simulator.wire import CONNECTION

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from starlette.types import Receive, Scope, Send

    from returns_orchestration.simulator.dataset import Dataset
    from returns_orchestration.simulator.options import SimulatorOptions
    from returns_orchestration.simulator.polls import Polls, RateLimit

PATH = "/api/v1/return_order_poll/"


@dataclass(slots=True)
class Desk:
    """What the endpoint works with. `faults` may be replaced while the server runs."""

    options: SimulatorOptions
    dataset: Dataset
    journal: Journal
    polls: Polls
    limit: RateLimit
    clock: Callable[[], datetime]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was understood: the window, in microseconds, and the page."""

    start: Micros
    end: Micros
    page: int


def build_app(desk: Desk) -> Starlette:
    """The application. A path without its last slash is unknown: nothing redirects."""
    app = Starlette(routes=[Route(PATH, PollEndpoint(desk)), Route("/{rest:path}", Unknown(desk))])
    app.router.redirect_slashes = False
    return app


def _dated(response: Response, now: datetime) -> Response:
    """Add a Date header with the API's time, as every HTTP server does."""
    response.headers["date"] = format_datetime(now.astimezone(UTC), usegmt=True)
    return response


class Unknown:
    """Every path but the API's: 404."""

    def __init__(self, desk: Desk) -> None:
        """Only the log and the clock are used."""
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404 as the vendor's framework does."""
        now = self._desk.clock()
        self._desk.journal.note(RequestRecord(now, http_status=404, refusal="path"))
        response = JSONResponse({"detail": "Not found."}, 404)
        await _dated(response, now)(scope, receive, send)


class PollEndpoint:
    """GET .../v1/return_order_poll/."""

    def __init__(self, desk: Desk) -> None:
        """Keep the desk: the endpoint has no state of its own."""
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge the request, note it, answer it."""
        request = Request(scope, receive)
        if self._desk.options.latency:
            await asyncio.sleep(self._desk.options.latency)
        now = self._desk.clock()  # one moment for the records, the log and the Date header
        outcome = self._judge(request, now)
        if isinstance(outcome, RawReply):
            connection = request.scope.get("state", {}).get(CONNECTION)
            if connection is None:
                message = "this fault needs the simulator's own server, see Simulator.running"
                raise RuntimeError(message)
            await connection.play(outcome.data, outcome.ending, receive)
        else:
            await _dated(outcome, now)(scope, receive, send)

    def _judge(self, request: Request, now: datetime) -> Outcome:
        """The outcome of a request; a refusal is an outcome, too."""
        desk = self._desk
        query = dict(request.query_params)
        try:
            if request.method != "GET":
                return self._wrong_method(request.method, query, now)
            if not desk.limit.accepts():
                self._note(query, now, http_status=429, refusal="rate")
                return too_many("1")
            return self._answer(request, query, self._understand(query), now)
        except RefusedError as refused:
            self._note(query, now, http_status=refused.http_status, refusal=refused.kind)
            return Response(refused.body(), refused.http_status, media_type=JSON)

    def _wrong_method(self, method: str, query: dict[str, str], now: datetime) -> Response:
        self._note(query, now, http_status=405, refusal="method")
        detail = {"detail": f'Method "{method}" not allowed.'}
        return JSONResponse(detail, 405, headers={"allow": "GET"})

    def _understand(self, query: dict[str, str]) -> Asked:
        """The window and page asked for; RefusedError for all that the API does not accept."""
        options = self._desk.options
        missing = [name for name in replies.PARAMETERS if not query.get(name)]
        if missing:
            message = f"Missing parameter: {', '.join(missing)}"
            raise replies.bad_parameter(message)
        if query["key"] != options.key or query["user_name"] != options.user_name:
            raise replies.wrong_credentials(options.auth_http_status)
        start, end = self._time(query, "start_time"), self._time(query, "end_time")
        page = query.get("page", "1")
        if not (page.isascii() and page.isdigit() and int(page) >= 1):
            message = "page is not a number from 1 on"
            raise replies.bad_parameter(message)
        if end < start:
            raise replies.bad_window(replies.REVERSED)
        if end - start > HOUR:
            raise replies.bad_window(replies.TOO_WIDE)
        return Asked(start, end, int(page))

    def _time(self, query: dict[str, str], name: str) -> Micros:
        try:
            return read_query_time(query[name], zone_named(self._desk.options.zone))
        except ValueError:
            text = f"{name} is not in the format YYYY-MM-DDThh:mm:ss"
            raise replies.bad_parameter(text) from None

    def _answer(
        self, request: Request, query: dict[str, str], asked: Asked, now: datetime
    ) -> Outcome:
        """The records of the window, or the fault that strikes this request."""
        desk = self._desk
        poll, nth = desk.polls.register(asked.start, asked.end, asked.page, to_micros(now))
        fault = striking(desk.faults, asked.start, asked.page, nth)
        records, more = self._page(asked, poll.call, poll.at)
        url = str(request.url)
        endpoint = url.partition("?")[0]
        exchange = Exchange(
            url=url,
            query=query,
            call=poll.call,
            records=records,
            next_url=replies.page_url(endpoint, query, asked.page + 1) if more else None,
            empty_as_null=desk.options.empty_as_null,
            auth_http_status=desk.options.auth_http_status,
        )
        outcome: Outcome
        if fault is None:
            outcome = Response(exchange.correct(), media_type=JSON)
        else:
            outcome = BREAKAGE[fault.name](exchange)
        self._note(
            query,
            now,
            page=asked.page,
            call=poll.call,
            http_status=outcome.status_code,
            fault=fault.name if fault else None,
            served=len(records) if fault is None or fault.name in STILL_CORRECT else 0,
        )
        return outcome

    def _page(self, asked: Asked, call: int, at: Micros) -> tuple[list[bytes], bool]:
        """The records of the page, and whether another follows."""
        desk = self._desk

        def make() -> list[bytes]:
            return desk.dataset.replies(asked.start, asked.end, at, call)

        size = desk.options.page_size
        paged = size is not None
        records = desk.polls.records(asked.start, asked.end, call, make) if paged else make()
        return replies.page_of(records, asked.page, size)

    def _note(  # noqa: PLR0913 - the columns of the log
        self,
        query: dict[str, str],
        now: datetime,
        *,
        http_status: int | None,
        page: int = 1,
        call: int | None = None,
        fault: str | None = None,
        refusal: str | None = None,
        served: int = 0,
    ) -> None:
        """Note the request; its times only where they could be read, as a time holds no secret."""
        times: dict[str, str | None] = {}
        for name in ("start_time", "end_time"):
            try:
                self._time({name: query.get(name, "")}, name)
                times[name] = query[name]
            except RefusedError:
                times[name] = None
        self._desk.journal.note(
            RequestRecord(
                from_micros(to_micros(now)),
                times["start_time"],
                times["end_time"],
                page,
                call,
                http_status,
                fault,
                refusal,
                served,
            )
        )
