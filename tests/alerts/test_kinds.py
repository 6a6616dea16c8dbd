"""Every message, as the README shows it, and what none of them may be or hold."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest

from returns_orchestration.alerts import listing
from returns_orchestration.alerts.facts import Kind, Severity
from returns_orchestration.alerts.incidents import Incident
from returns_orchestration.alerts.told import named
from returns_orchestration.alerts.words import Author

README = (Path(__file__).parents[2] / "README.md").read_text()
AUTHOR = Author("https://dagster.example.com/", ZoneInfo("Asia/Kolkata"))
NINE = datetime(2026, 11, 9, 9, tzinfo=UTC)
NIGHT = [["2026-11-08-21:00", "2026-11-09-10:00"]]
MORNING = [["2026-11-09-08:00", "2026-11-09-10:00"]]


def incident(  # noqa: PLR0917 - the fields of one
    kind: Kind,
    severity: Severity = "problem",
    size: int = 1,
    subject: str = "",
    hours: float = 2,
    since: datetime = NINE,
    **facts: Any,
) -> Incident:
    return Incident(
        number=1,
        kind=kind,
        subject=subject,
        severity=severity,
        since=since,
        opened_at=NINE,
        closed_at=NINE + timedelta(hours=hours),
        size=size,
        facts=facts,
    )


def of_claim(kind: Kind, severity: Severity, asset: str, claim: str, **facts: Any) -> Incident:
    periods = ["2026-11-09-09:00", "2026-11-09-10:00"]
    given = {"verdict": "fails", "weight": "error", "figures": "7 of 40", **facts}
    subject = f"{asset}: {claim}" if kind == "check failed" else ""
    return incident(kind, severity, 2, subject, asset=asset, claim=claim, periods=periods, **given)


SAMPLES: list[Incident] = [
    incident("hours missing", size=13, spans=NIGHT, error="ServerFault", words="", hours=5.5),
    incident("hours damaged", size=2, spans=MORNING),
    incident("hours outdated", "notice", size=2_000),
    incident("credentials refused", "urgent", size=2, spans=MORNING, absent=""),
    incident("nothing polled", "urgent", size=2, spans=MORNING),
    incident("newest hour too old", size=5, hour="2026-11-09-04:00"),
    of_claim(
        "times not as configured",
        "urgent",
        "returns",
        "request_times_are_in_utc",
        figures="40 of 40 are +5.50 hours off; check CLICKPOST_TIME_ZONE",
    ),
    of_claim(
        "returns rejected",
        "problem",
        "rejected_returns",
        "nothing_is_rejected",
        figures="3 rejected",
    ),
    of_claim(
        "returns vanished",
        "problem",
        "raw_returns",
        "no_return_vanished",
        figures="4 served by an earlier poll only; they are kept",
        weight="warning",
    ),
    of_claim(
        "check failed",
        "urgent",
        "refund_modes_hourly",
        "returns_are_conserved",
        figures="39 of 40",
        weight="blocks",
    ),
    of_claim(
        "check failed", "notice", "returns", "keys_are_known", figures="new: fee", weight="warning"
    ),
    incident("silence", size=3, hours=3, count=0, usual=91.0, hour="2026-11-09-11:00"),
    incident("surge", size=412, count=412, usual=38.0, hour="2026-11-09-09:00"),
    incident(
        "mix shifted",
        "notice",
        subject="return reasons",
        day="2026-11-09",
        of="return reasons",
        returns=418,
        unfinished=True,
        shifts=[{"name": "Size Issue", "count": 130, "share": 0.31, "usual": 0.12}],
    ),
    incident("channel down", subject="slack 1", fault="it answered HTTP 404", waiting=3),
]
next(sample for sample in SAMPLES if sample.kind == "silence").facts["hours"] = 3


FREQUENT: tuple[Kind, ...] = ("hours missing", "credentials refused", "silence", "mix shifted")


def shown(*, frequent: bool) -> str:
    """The README's messages: what is seen most, with one end, and all others."""
    chosen = [sample for sample in SAMPLES if (sample.kind in FREQUENT) is frequent]
    messages = [AUTHOR.opened(sample) for sample in chosen]
    if frequent:
        messages.insert(1, AUTHOR.over(SAMPLES[0]))
    return "\n\n".join(f"{message.title}\n{message.text}" for message in messages)


@pytest.mark.parametrize("frequent", [True, False])
def test_the_readme_shows_the_messages_as_they_are(frequent: bool) -> None:
    assert f"```text\n{shown(frequent=frequent)}\n```" in README


def test_there_is_a_sample_of_every_kind() -> None:
    assert {sample.kind for sample in SAMPLES} == set(get_args(Kind))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_a_message_is_short_and_says_since_when_what_to_do_and_where_to_look(
    sample: Incident,
) -> None:
    opened, over = AUTHOR.opened(sample), AUTHOR.over(sample)
    for message in (opened, over):
        lines = [message.title, *message.text.splitlines()]
        assert len(lines) <= 10
        assert all(line.strip() and len(line) <= 300 for line in lines)
        assert lines[-1].startswith("Look: https://dagster.example.com/assets/")
        assert "{" not in message.title + message.text
    assert re.match(r"Since 2026-11-09 09:00 UTC \(14:30 in Asia/Kolkata\)\.\n", opened.text)
    assert "\nTo do: " in opened.text
    assert opened.title.startswith(f"[{sample.severity}] ")
    assert over.title.startswith("[over] ")
    assert opened.tone == sample.severity
    assert over.tone == "over"
    assert len(listing.cells(sample)) == len(listing.HEADER)


def test_no_figure_makes_a_message_endless() -> None:
    long = of_claim(
        "check failed", "notice", "returns", "keys_are_known", figures="new: " + "k" * 5_000
    )
    many = incident(
        "hours missing",
        size=9_000,
        spans=[[f"20{y}-01-01-00:00", f"20{y}-01-02-00:00"] for y in range(10, 40)],
    )
    for sample in (long, many):
        assert len(AUTHOR.opened(sample).text) < 1_500
    assert "and 27 earlier spans" in AUTHOR.opened(many).text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (" Size \n Issue ", "Size Issue"),
        ("call me on +91 98765 43210", "call me on …"),
        ("asha@example.com wants it", "… wants it"),
        ("x" * 100, "x" * 39 + "…"),
        ("2 pieces", "2 pieces"),
    ],
)
def test_a_name_is_short_and_nobodys(name: str, expected: str) -> None:
    assert named(name) == expected


def test_a_zone_without_an_offset_is_not_repeated() -> None:
    text = Author("http://x", ZoneInfo("UTC")).opened(SAMPLES[0]).text
    assert text.startswith("Since 2026-11-09 09:00 UTC.\n")
