"""`health`: whether all is well, for a probe; `Facts` as text and as one JSON object."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.settings import load_accounts

if TYPE_CHECKING:
    from returns_orchestration.state.health import Facts, Level

UNKNOWN = 3
"""The exit code where nothing can be known, wrong calls and settings included."""


def health(
    as_json: Annotated[bool, typer.Option("--json", help="Print one object.")] = False,
) -> None:
    """Show whether all is well: exits 0 ok, 1 warning, 2 critical, 3 unknown or a wrong call.

    Critical: the newest complete hour ended over 3 hours ago, an hour has been missing for over 24
    hours, or Dagster's daemon has given no sign of life for 10 minutes. Warning: another missing or
    a damaged hour, an open incident, or 85 % of a disk's space or inodes in use. Of several
    accounts, the worst counts.
    """
    accounts = load_accounts()
    from returns_orchestration.defs.health import gather  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.state.health import LEVELS, judge, level_of  # noqa: PLC0415

    now = datetime.now(UTC)
    plain, found = {}, []
    for settings in accounts:
        facts = gather(settings, now)
        findings = [(each, settings.wording(text)) for each, text in judge(facts)]
        found += findings
        plain[settings.account] = _plain(facts, level_of(findings), findings)
        if not as_json:
            of_account = f"{settings.account}: " if settings.account else ""
            lines = [f"{each:<8}  {text}" for each, text in findings]
            for line in (level_of(findings), *lines, *_lines(facts)):
                say(f"{of_account}{line}")
    level = level_of(found)
    if as_json:
        of_all = {"level": level, "accounts": plain}
        typer.echo(json.dumps(plain.get("", of_all)))
    raise typer.Exit(LEVELS.index(level))


def _lines(facts: Facts) -> list[str]:
    newest = facts.newest_complete
    counts = ", ".join(f"{number:,} {state}" for state, number in facts.states.items() if number)
    lines = [
        f"newest complete hour: {newest.text if newest else 'none'}",
        f"hours: {counts or 'none yet'}",
    ]
    for disk in facts.disks:
        inodes = f", {disk.free_inodes:,} inodes free" if disk.inodes else ""
        free, size = disk.free / 1e9, disk.size / 1e9
        lines.append(f"{disk.what}: {free:,.1f} of {size:,.1f} GB free{inodes}")
    if facts.delivery is not None:
        came, total = facts.delivery.delivered, facts.delivery.delivered + facts.delivery.lost
        lines.append(f"webhooks of the newest 24 hours with returns: {came:,} of {total:,} came")
    if facts.home_bytes:
        lines.append(f"size of DAGSTER_HOME: {facts.home_bytes / 1e6:,.1f} MB")
    return lines


def _plain(facts: Facts, level: Level, findings: list[tuple[Level, str]]) -> dict[str, Any]:
    """All facts as plain values; times are ISO 8601, sizes are bytes."""
    newest, oldest, beat = facts.newest_complete, facts.oldest_missing, facts.heartbeat
    return {
        "level": level,
        "findings": [{"level": each, "text": text} for each, text in findings],
        "newest_complete_hour": newest.text if newest else None,
        "oldest_missing_hour": oldest.text if oldest else None,
        "hours": dict(facts.states),
        "open_incidents": dict(facts.incidents),
        "daemon_heartbeat_at": beat.isoformat(timespec="seconds") if beat else None,
        "daemon_heartbeat_age_seconds": round((facts.now - beat).total_seconds()) if beat else None,
        "disks": {
            disk.what: {
                "size_bytes": disk.size,
                "free_bytes": disk.free,
                "inodes": disk.inodes,
                "free_inodes": disk.free_inodes,
            }
            for disk in facts.disks
        },
        "dagster_home_bytes": facts.home_bytes,
        "webhooks": facts.delivery
        and {
            "delivered": facts.delivery.delivered,
            "lost": facts.delivery.lost,
            "waiting": facts.delivery.waiting,
        },
    }
