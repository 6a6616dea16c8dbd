"""What is said when an incident is over: how it ended, and what is left to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from returns_orchestration.alerts import told

if TYPE_CHECKING:
    from returns_orchestration.alerts.incidents import Incident

FOLLOW: Final = "The missing hours follow by themselves; nothing has to be done."


class End(NamedTuple):
    """How it ended, and what is left to know."""

    title: str
    text: str


def ended(incident: Incident) -> End:
    """What is said when an incident is over."""
    facts, count = incident.facts, incident.size
    were, are = ("was", "is") if count == 1 else ("were", "are")
    no_more = "No hour newly failed for a day, or those that had were mended."
    return {
        "credentials refused": lambda: End("ClickPost accepts our key and user name", FOLLOW),
        "nothing polled": lambda: End("ClickPost is being asked again", FOLLOW),
        "hours missing": lambda: End(
            f"The {told.hours_text(count)} of returns that {were} missing {are} there",
            "Every count is whole again; nothing has to be done.",
        ),
        "hours damaged": lambda: End(
            f"The {told.hours_text(count)} of returns that {were} damaged {are} mended",
            "Every count is whole again; what was set aside stays in the lake's folder _aside.",
        ),
        "hours outdated": lambda: End(
            f"The {told.hours_text(count)} of returns {are} rebuilt by the rules of this release",
            "Old and new hours have the same columns and were read in the same way.",
        ),
        "newest hour too old": lambda: End("New hours of returns are complete again", FOLLOW),
        "times not as configured": lambda: End(
            "Request times fit the configured time zone",
            "Correct the hours polled meanwhile: `returns-orchestration rezone FROM TO`.",
        ),
        "returns rejected": lambda: End("No more returns that cannot be used", no_more),
        "returns vanished": lambda: End("No more returns vanish", no_more),
        "check failed": lambda: End(
            f"A check of {facts['asset']} is quiet again: {told.claim_text(incident)}", no_more
        ),
        "silence": lambda: End("Returns arrive as usual", "Late ones are polled for again."),
        "surge": lambda: End("The number of returns is as usual", "The surge stays counted."),
        "mix shifted": lambda: End(
            f"The shares of {facts['of']} are as usual",
            "They fit the days before, or have been like this for a week.",
        ),
        "channel down": lambda: End(
            f"Alerts reach the channel {incident.subject}", "What waited for it was delivered."
        ),
    }[incident.kind]()
