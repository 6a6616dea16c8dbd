"""Every message, by samples that the documents also show; and their limits and exclusions."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from support.accounts import WORDING, assert_in_words_of_account, error_names

from returns_orchestration.alerts import kinds, listing
from returns_orchestration.alerts.kinds import KINDS, Kind, Reason, of_claim
from returns_orchestration.alerts.life_cycle import Detected, Incident, step
from returns_orchestration.alerts.messages import Author
from returns_orchestration.alerts.outbox import MOST_WAITING, Outbox
from returns_orchestration.lake.news import NewName
from returns_orchestration.settings import AlertPolicy, QuietHours
from returns_orchestration.settings.wording import SINGLE
from returns_orchestration.state.mix import Shift

AUTHOR = Author(
    "https://dagster.example.com/assets", "docs/operations.md", ZoneInfo("Asia/Kolkata"), SINGLE
)
NINE = datetime(2026, 11, 9, 9, tzinfo=UTC)
MORNING = [["2026-11-09-08:00", "2026-11-09-10:00"]]


def incident(kind: type[Kind], over_after: float = 2, **facts: Any) -> Incident:
    """An incident of nine o'clock, resolved that many hours later."""
    finding = kind(**{"since": NINE} | facts)
    policy = AlertPolicy(timedelta(), timedelta(), QuietHours(0, 0, ZoneInfo("UTC")), timedelta())
    (opened,) = step([], Detected([finding]), NINE, policy).incidents
    return msgspec.structs.replace(opened, resolved_at=NINE + timedelta(hours=over_after))


def of_claim_named(claim: str, asset: str, figures: str, weight: str = "error") -> Incident:
    kind = of_claim(claim)
    periods = ["2026-11-09-09:00", "2026-11-09-10:00"]
    facts = {"asset": asset, "claim": claim, "figures": figures, "weight": weight}
    return incident(kind, size=2, subject=f"{asset}: {claim}", periods=periods, **facts)


SAMPLES: list[Incident] = [
    incident(
        kinds.HoursMissing,
        5.5,
        size=13,
        spans=[["2026-11-08-21:00", "2026-11-09-10:00"]],
        error="ServerFault",
    ),
    incident(kinds.CredentialsRefused, size=2, spans=MORNING),
    incident(kinds.Silence, size=3, count=0, usual=91.0, hour="2026-11-09-11:00"),
    incident(
        kinds.MixShifted,
        subject="return reasons",
        day="2026-11-09",
        returns=418,
        unfinished=True,
        shifts=[Shift("Size Issue", 130, 0.31, 0.12)],
    ),
    incident(
        kinds.NewNames,
        subject="2026-11-09",
        size=3,
        names=[
            NewName(kind="code", name="1005", hour="2026-11-09-09:00"),
            NewName(kind="key", name="record.fee", hour="2026-11-09-09:00"),
            NewName(kind="key", name="webhook_payload.carrier", hour="2026-11-09-10:00"),
        ],
    ),
    of_claim_named(
        "request_times_are_in_utc", "returns", "40 of 40 times are +5.50 hours off; check"
    ),
    incident(kinds.HoursDamaged, size=2, spans=MORNING),
    incident(kinds.HoursOutdated, size=2_000),
    incident(kinds.NothingPolled, size=2, spans=MORNING),
    incident(kinds.NewestHourTooOld, size=5, hour="2026-11-09-04:00"),
    of_claim_named("nothing_is_rejected", "rejected_returns", "3 records were rejected"),
    of_claim_named(
        "no_return_vanished",
        "raw_returns",
        "4 returns were served by an earlier poll only; they are kept",
        "warning",
    ),
    of_claim_named(
        "references_are_unique_and_present",
        "returns",
        "2 of 40 references are absent or repeated",
        "blocks",
    ),
    of_claim_named(
        "the_text_is_utf_8", "raw_returns", "3 records hold bytes that are not UTF-8", "warning"
    ),
    incident(kinds.Surge, count=412, usual=38.0, hour="2026-11-09-09:00"),
    incident(
        kinds.DiskNearlyFull,
        subject="space",
        share=0.91,
        free=4_400_000_000,
        places=["RETURNS_LAKE", "DAGSTER_HOME"],
    ),
    incident(
        kinds.DiskNearlyFull, subject="inodes", share=0.88, free=91_000, places=["DAGSTER_HOME"]
    ),
    incident(kinds.HomeTooLarge, bytes=2_100_000_000, limit=1_000_000_000),
    incident(kinds.ReportNotMade, day="2026-11-08"),
    incident(kinds.ReceiverSilent),
    incident(kinds.ReceiverSilent, subject="storing", problem="database or disk is full"),
    incident(kinds.NoWebhooks, size=4, lost=61),
    incident(kinds.WebhooksRefused, refused=38, without_key=38),
    incident(kinds.WebhooksLost, size=24, both=376, lost=8),
    incident(kinds.WebhooksLate, 20, size=24, share=0.18),
    incident(kinds.SpoolSetAside, 9, file="/var/lib/returns/webhook_spool.db.unreadable-17"),
    of_claim_named("every_webhook_can_be_used", "rejected_webhooks", "3 webhooks cannot be used"),
    of_claim_named(
        "polls_have_every_return_of_a_webhook",
        "webhook_matches",
        "polls lack 2 returns that webhooks brought",
    ),
    incident(kinds.ChannelDown, subject="slack 1", fault="it answered HTTP 404", waiting=3),
]
"""Each kind once at least, the most frequent ones first."""

FREQUENT = 4
"""The number of samples that are shown outside a fold."""


def test_there_is_a_sample_of_every_kind() -> None:
    assert {sample.kind for sample in SAMPLES} == set(KINDS)


def test_the_runbook_has_a_section_for_every_kind() -> None:
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    sections = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert {name for name in sections if name in KINDS} == set(KINDS)
    assert len(sections) == len(set(sections))


def test_inhibiting_kinds_exist_and_a_claim_has_one_kind() -> None:
    for kind in KINDS.values():
        assert all(KINDS[other.name] is other for other in kind.inhibited_by)
    claims = [c for kind in KINDS.values() for c in getattr(kind, "claims", ())]
    assert len(claims) == len(set(claims))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_a_message_is_short_and_gives_since_when_what_to_do_and_where_to_look(
    sample: Incident,
) -> None:
    opened, resolved = AUTHOR.opened(sample), AUTHOR.resolved(sample)
    for message in (opened, resolved):
        lines = [message.title, *message.text.splitlines()]
        assert len(lines) <= 10
        assert all(line.strip() and len(line) <= 300 for line in lines)
        assert lines[-1].startswith("Look: https://dagster.example.com/assets/")
        anchor = sample.kind.replace(" ", "-")
        assert lines[-2] == f"Runbook: docs/operations.md#{anchor}"
        assert "{" not in message.title + message.text
    assert re.match(r"Since 2026-11-09 09:00 UTC \(14:30 in Asia/Kolkata\)\.\n", opened.text)
    assert "\nTo do: " in opened.text
    assert opened.title.startswith(f"[{sample.severity}] ")
    assert resolved.title.startswith("[resolved] ")
    assert opened.tone == sample.severity
    assert resolved.tone == "resolved"
    assert len(listing.cells(sample)) == len(listing.HEADER)


OF_ACCOUNT = replace(AUTHOR, wording=WORDING)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_a_message_of_an_account_has_commands_and_places_of_this_account(sample: Incident) -> None:
    for message in (OF_ACCOUNT.opened(sample), OF_ACCOUNT.resolved(sample)):
        assert f" {WORDING.account}: " in message.title
        assert_in_words_of_account(f"{message.title}\n{message.text}")
    plain, cells = listing.plain(sample, WORDING), listing.cells(sample, WORDING)
    assert_in_words_of_account("\n".join([*map(str, plain.values()), *cells]))


@pytest.mark.parametrize("error", error_names())
def test_hours_missing_of_an_account_name_its_places(error: str) -> None:
    sample = incident(kinds.HoursMissing, size=2, spans=MORNING, error=error)
    message = OF_ACCOUNT.opened(sample)
    assert_in_words_of_account(f"{message.title}\n{message.text}")


def test_refused_credentials_name_the_variables_of_the_account() -> None:
    sample = incident(kinds.CredentialsRefused, size=2, spans=MORNING)
    assert (
        "To do: correct B_KEY (`key` of brand_b in accounts.toml) and the variable for "
        "`user_name` of brand_b in accounts.toml, run `returns-orchestration doctor --account "
        "brand_b` until it prints ok, and restart Dagster. Missing hours are then recovered "
        "automatically."
    ) in OF_ACCOUNT.opened(sample).text


def test_a_count_of_dropped_messages_is_in_the_words_of_the_account() -> None:
    outbox = Outbox()
    for _ in range(MOST_WAITING + 1):
        outbox.add(OF_ACCOUNT.test(), WORDING)
    assert outbox.waiting[0].title.startswith("brand_b: ")
    assert_in_words_of_account(outbox.waiting[0].text)


def test_long_figures_are_cut_in_a_message() -> None:
    long = of_claim_named("the_text_is_utf_8", "raw_returns", "k" * 5_000)
    many = incident(
        kinds.HoursMissing,
        size=9_000,
        spans=[[f"20{y}-01-01-00:00", f"20{y}-01-02-00:00"] for y in range(10, 40)],
    )
    for sample in (long, many):
        for message in (AUTHOR.opened(sample), AUTHOR.resolved(sample)):
            assert len(message.title) + len(message.text) < 1_500
    assert "and 27 earlier spans" in AUTHOR.opened(many).text


def test_a_zone_without_an_offset_is_not_repeated() -> None:
    text = Author("http://x/assets", "y", ZoneInfo("UTC"), SINGLE).opened(SAMPLES[0]).text
    assert text.startswith("Since 2026-11-09 09:00 UTC.\n")


def test_the_title_of_a_failed_check_is_the_event_and_never_the_negated_claim() -> None:
    sample = of_claim_named("references_are_unique_and_present", "returns", "2 of 40 are repeated.")
    message = AUTHOR.opened(sample)
    assert message.title == "[problem] returns: 2 of 40 are repeated, in 2 hours"
    assert "2 of 40" not in message.text
    assert "unique" not in message.title + message.text


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("2026-11-09-09:00", "[problem] lateness: 3 of 9, in 1 hour"),
        ("2026-11-09", "[problem] lateness: 3 of 9, in 1 day"),
        ("", "[problem] lateness: 3 of 9"),
    ],
)
def test_a_failed_check_names_its_hour_its_day_or_neither(period: str, expected: str) -> None:
    facts = {"asset": "lateness", "claim": "x", "figures": "3 of 9", "periods": [period]}
    assert AUTHOR.opened(incident(kinds.CheckFailed, **facts)).title == expected


def test_a_check_without_figures_is_named() -> None:
    facts = {"asset": "returns", "claim": "theirs", "periods": ["2026-11-09-09:00"]}
    title = AUTHOR.opened(incident(kinds.CheckFailed, **facts)).title
    assert title == "[problem] returns: its check did not pass ('theirs'), in 1 hour"


@pytest.mark.parametrize("error", ["ServerFault", "HourBlocked", "NoConnection", "Odd", ""])
def test_missing_hours_name_their_cause_in_the_words_of_the_error(error: str) -> None:
    words = kinds.HoursMissing(since=NINE, spans=MORNING, size=2, error=error).words()
    assert words.title.startswith("2 hours of returns are missing: ")
    assert not words.title.endswith(": ")
    assert words.to_do


def test_a_kind_is_restored_from_its_facts() -> None:
    for sample in SAMPLES:
        finding = sample.finding
        assert (type(finding), finding.facts) == (KINDS[sample.kind], sample.facts)
    with pytest.raises(ValueError, match="No kind of incident is called odd"):
        kinds.read("odd", {"since": NINE})


def test_the_list_shows_why_a_finding_was_not_sent() -> None:
    silent = msgspec.structs.replace(SAMPLES[0], notified_at=None, silent=Reason.COOLDOWN.value)
    assert listing.cells(silent)[4] == "no: came back within the cooldown"
    assert listing.plain(silent)["silent"] == "came back within the cooldown"
    assert listing.cells(SAMPLES[0])[4] == "yes"
    assert (listing.plain(SAMPLES[0])["sent"], listing.plain(SAMPLES[0])["silent"]) == (True, None)
