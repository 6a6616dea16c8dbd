"""Webhooks of returns as ClickPost sends them, and the pipeline of their tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from returns_orchestration.flow.days import DayBuilder
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.webhooks.pipeline import WebhookPipeline
from returns_orchestration.flow.webhooks.rules import WebhookRules
from returns_orchestration.lake import Lake
from returns_orchestration.lake.webhooks import ReceiverNote, Webhook
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.window import Window

INSTANCE = "0a1b2c3d"
NOTED = datetime(2026, 11, 9, 11, 59, tzinfo=UTC)


def receiver_note(**changes: Any) -> ReceiverNote:
    """What a receiver notes that is well."""
    usual = {
        "instance": INSTANCE,
        "at": NOTED,
        "began": NOTED - timedelta(days=9),
        "since": NOTED - timedelta(days=1),
        "stored": 9,
        "last_stored": NOTED - timedelta(minutes=2),
        "refused": 0,
        "without_key": 0,
        "last_refused": None,
        "not_stored": 0,
        "last_not_stored": None,
        "waiting": 0,
        "problem": "",
        "set_aside": "",
    }
    return ReceiverNote(**usual | changes)


def webhook(record: dict[str, Any], *, wrapped: bool = False, **changes: Any) -> bytes:
    """The webhook of a record of the API: its payload, which repeats the reference."""
    payload = json.loads(json.dumps(record["webhook_payload"])) | changes
    additional = payload.get("additional") or json.loads(json.dumps(record.get("additional") or {}))
    payload["additional"] = additional | {
        "return_reference_number": record["return_reference_number"]
    }
    payload.setdefault("request_placed_time", record["Return Request Timestamp"])
    content = {"payload": payload, "internal": {"tracking_id": 1, "key": "None"}}
    return json.dumps(content if wrapped else payload).encode()


def received(
    lake: Lake,
    *bodies: tuple[datetime, bytes],
    instance: str = INSTANCE,
    first: int = 1,
    redelivered: bool = False,
) -> None:
    """Put deliveries into the lake, a file for each hour."""
    lake.format.ensure(begin=True)
    by_hour: dict[Window, list[Webhook]] = {}
    for number, (at, body) in enumerate(bodies, first):
        hour = by_hour.setdefault(Window.of(at), [])
        hour.append(Webhook(number, at, "application/json", redelivered, body))
    for deliveries in by_hour.values():
        lake.webhooks.put(instance, deliveries)


def pipeline(
    lake: Lake,
    now: datetime,
    *,
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    lost_after: timedelta = timedelta(hours=6),
    polls_late: bool = True,
    zone: str = "UTC",
    days: str = "Asia/Kolkata",
) -> WebhookPipeline:
    rules = WebhookRules(lost_after, polls_late, start)
    many = HourPipeline(
        lake,
        RecordReader(ZoneInfo("UTC")),
        lambda *_: nullcontext(),  # type: ignore[arg-type,return-value] - nothing is polled
        1,
        days=DayBuilder(lake, ZoneInfo(days), wait=lambda _: None),
        clock=lambda: now,
    )
    return WebhookPipeline(many, RecordReader(ZoneInfo(zone)), rules)


def rows(lake: Lake, table: Any, windows: Iterable[Any]) -> list[dict[str, Any]]:
    """The rows of some hours or days, each as a dictionary."""
    names, found = lake.names(), list[dict[str, Any]]()
    for window in windows:
        frame = lake.read(table, window, names)
        found += [] if frame is None else frame.rows(named=True)
    return found
