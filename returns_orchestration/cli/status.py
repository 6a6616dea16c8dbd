"""`status [FROM TO]`: a summary, and one line an hour or a day."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import typer

from returns_orchestration.cli.backfill import chosen_windows
from returns_orchestration.cli.output import say
from returns_orchestration.errors import ReturnsError, SettingsError
from returns_orchestration.settings import dagster_home, load_accounts
from returns_orchestration.window import Window, last_settled, read_hour
from returns_orchestration.words import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from returns_orchestration.settings import Settings
    from returns_orchestration.state.status import HourState

ALWAYS_COUNTED = ("complete", "empty", "missing")
"""States that the summary counts even where there are none."""


class Column(NamedTuple):
    """One column of the list; ``narrow`` ones are shown on a terminal of 80 characters, too."""

    title: str
    width: int
    text: Callable[[HourState], str]
    narrow: bool = True
    right: bool = True

    def cell(self, text: str) -> str:
        """``text`` in this column's width."""
        return f"{text:>{self.width}}" if self.right else f"{text:<{self.width}}"


PROVISIONAL = Column("provisional", 11, lambda h: str(h.provisional))
"""Shown only where there are some: most deployments have no webhooks."""

COLUMNS = (
    Column("hour (UTC)", 16, lambda h: h.hour, right=False),
    Column("state", 10, lambda h: h.state, right=False),
    Column("returns", 7, lambda h: str(h.returns)),
    Column("items", 6, lambda h: str(h.items)),
    Column("rejected", 8, lambda h: str(h.rejected)),
    Column("polls", 5, lambda h: str(h.polls)),
    Column("late", 4, lambda h: str(h.late)),
    PROVISIONAL,
    Column("first polled", 19, lambda h: _moment(h.first_polled_at), narrow=False, right=False),
    Column("last polled", 19, lambda h: _moment(h.last_polled_at), narrow=False, right=False),
    Column("error", 5, lambda h: " ".join((h.error or "").split()), right=False),
)
WIDE = 120
"""Characters of a terminal that shows all columns; another program reads all of them anyway."""


def status(
    from_: Annotated[
        str | None, typer.Argument(metavar="[FROM", help="First hour or day; default RETURNS_START")
    ] = None,
    to: Annotated[
        str | None, typer.Argument(metavar="TO]", help="Where to stop; default the newest hour")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="List missing and damaged hours only, a line a stretch."),
    ] = False,
    by_day: Annotated[bool, typer.Option("--by-day", help="Print one line a UTC day.")] = False,
) -> None:
    """Show the state of every hour; exits 1 if one is missing or damaged.

    Without --account, a line for each of several accounts, and their sum.
    """
    if as_json and by_day:
        raise SettingsError("--json and --by-day at once.", next_step="Give one of them.")
    accounts = load_accounts()
    if len(accounts) > 1:
        form = days if by_day else stretches if missing else None
        _sum_up(accounts, from_, to, form, as_json=as_json, missing=missing)
        return
    settings = accounts[0]
    found = read_states(settings, chosen_hours(settings, from_, to))
    from returns_orchestration.state.hours import FAULTS  # noqa: PLC0415 - polars is slow to import

    faulty = [hour for hour in found if hour.state in FAULTS]
    listed = faulty if missing else found
    if as_json:
        typer.echo(json.dumps([_plain(hour) for hour in listed], indent=1))
    else:
        form = days if by_day else stretches if missing else hours
        lines = ["", *form(listed)] if listed else []
        for line in (*summary(found), *lines):
            say(line)
    if faulty:
        raise typer.Exit(1)


def _sum_up(  # noqa: PLR0913 - what `status` was asked for
    accounts: Sequence[Settings],
    from_: str | None,
    to: str | None,
    form: Callable[[Sequence[HourState]], list[str]] | None,
    *,
    as_json: bool,
    missing: bool,
) -> None:
    """The states of several accounts: their sums, or by ``form``, or as JSON."""
    from returns_orchestration.state.hours import FAULTS  # noqa: PLC0415 - polars is slow to import

    found: dict[str, list[HourState]] = {}
    unread: dict[str, str] = {}
    for settings in accounts:
        try:
            found[settings.account] = read_states(settings, chosen_hours(settings, from_, to))
        except ReturnsError as error:  # the others are shown all the same
            unread[settings.account] = settings.wording(str(error))
    faulty = {name: [h for h in hours if h.state in FAULTS] for name, hours in found.items()}
    listed = faulty if missing else found
    if as_json:
        plain = [{"account": name} | _plain(h) for name, hours in listed.items() for h in hours]
        typer.echo(json.dumps(plain, indent=1))
    else:
        for line in _by_account(found):
            say(line)
        for name, hours in listed.items() if form else ():
            for line in ("", name, *form(hours)) if hours and form else ():
                say(line)
    for name, fault in unread.items():
        say(f"{name}: {fault}", err=True)
    if unread or any(faulty.values()):
        raise typer.Exit(1)


def _by_account(found: Mapping[str, Sequence[HourState]]) -> list[str]:
    """A heading, one line an account, and their sum."""
    by_account = dict(found)
    by_account["all accounts"] = [hour for hours in found.values() for hour in hours]
    width = max(len(name) for name in by_account)
    titles = ("hours", *ALWAYS_COUNTED, "other", "returns", "items", "rejected", "late")
    lines = ["  ".join((f"{'account':<{width}}", *(f"{title:>9}" for title in titles)))]
    for name, its in by_account.items():
        states: Counter[str] = Counter(hour.state for hour in its)
        named = [states[state] for state in ALWAYS_COUNTED]
        sums = [
            sum(getattr(hour, what) for hour in its)
            for what in ("returns", "items", "rejected", "late")
        ]
        numbers = [len(its), *named, len(its) - sum(named), *sums]
        lines.append("  ".join((f"{name:<{width}}", *(f"{number:>9,}" for number in numbers))))
    return lines


def chosen_hours(
    settings: Settings, from_: str | None = None, to: str | None = None
) -> list[Window]:
    """The hours of [FROM, TO); without both, all since RETURNS_START. Raises SettingsError."""
    if (from_ is None) != (to is None):
        raise SettingsError("FROM without TO.", next_step="Give both, or none for all hours.")
    newest = last_settled(datetime.now(UTC), settings.settle)
    if from_ is None and newest.start < settings.start:
        raise SettingsError(
            f"No hour has settled since RETURNS_START, {Window(settings.start).text}.",
            next_step="Set RETURNS_START earlier, or wait.",
        )
    return chosen_windows(settings, from_ or Window(settings.start).text, to or newest.next.text)


def read_states(settings: Settings, windows: list[Window]) -> list[HourState]:
    """The states of ``windows``, from the lake, and from what Dagster knows that the lake lacks."""
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.state.status import states  # noqa: PLC0415

    lake = Lake(open_store(settings.lake))
    known = _known_to_dagster(settings, windows)
    return [
        replace(hour, error=settings.wording(hour.error)) if hour.error else hour
        for hour in states(lake, windows, settings.report_time_zone, known)
    ]


def _known_to_dagster(settings: Settings, windows: list[Window]) -> dict[Window, str]:
    """See States; empty where there is no instance, or it cannot be read, which is printed."""
    from returns_orchestration.defs.history import newest_polls  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.defs.instance import (  # noqa: PLC0415
        CONFIGURATION,
        open_instance,
    )
    from returns_orchestration.defs.keys import Keys  # noqa: PLC0415

    if not (dagster_home(settings) / CONFIGURATION).is_file():
        return {}
    try:
        with open_instance(settings) as instance:
            return newest_polls(instance, windows, Keys.of_settings(settings))
    except ReturnsError as error:
        say(f"{error} Polls that only Dagster knows of are not seen.", settings, err=True)
        return {}


def summary(found: Sequence[HourState]) -> list[str]:
    """How many hours are in each state, what they hold, and what to do about missing ones."""
    from returns_orchestration.state.hours import FAULTS, STATES  # noqa: PLC0415

    states = Counter(hour.state for hour in found)
    counts = [f"{states[s]:,} {s}" for s in STATES if states[s] or s in ALWAYS_COUNTED]
    sums = [
        count(sum(getattr(hour, name) for hour in found), noun)
        for name, noun in (("returns", "return"), ("items", "item"))
    ]
    rejected, late = sum(hour.rejected for hour in found), sum(hour.late for hour in found)
    last = Window(read_hour(found[-1].hour)).next.text
    lines = [
        f"{count(len(found), 'hour')} from {found[0].hour} to {last} UTC: {', '.join(counts)}",
        f"{', '.join(sums)}, {rejected:,} rejected, {late:,} late",
    ]
    provisional = sum(hour.provisional for hour in found)
    if provisional:
        lines[-1] += f", {provisional:,} only by webhook (provisional)"
    to_do = [hour.hour for hour in found if hour.state in {*FAULTS, "unfinished"}]
    if to_do:
        end = Window(read_hour(to_do[-1])).next.text
        lines.append(
            f"Next: `returns-orchestration backfill {to_do[0]} {end}`; the sensor `missing_hours` "
            "does it automatically"
        )
    return lines


def hours(found: Sequence[HourState]) -> list[str]:
    """A heading and one line an hour; on a terminal no line is longer than it is wide."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    absent = set() if any(hour.provisional for hour in found) else {PROVISIONAL}
    shown = (column for column in COLUMNS if column not in absent)
    columns = [column for column in shown if column.narrow or not 0 < width < WIDE]
    lines = ["  ".join(column.cell(column.title) for column in columns)]
    lines += ["  ".join(column.cell(column.text(hour)) for column in columns) for hour in found]
    return _cut(lines)


def days(found: Sequence[HourState]) -> list[str]:
    """A heading and one line a UTC day: its hours by state, and the sums of what they hold."""
    titles = ("day (UTC)", "hours", "complete", "empty", "missing", "other", "returns", "late")
    lines = ["  ".join((f"{titles[0]:<10}", *(f"{title:>8}" for title in titles[1:])))]
    by_day: dict[str, list[HourState]] = {}
    for hour in found:
        by_day.setdefault(hour.hour[: len("2026-11-09")], []).append(hour)
    for day, its in by_day.items():
        states = Counter(hour.state for hour in its)
        named = [states["complete"], states["empty"], states["missing"]]
        sums = [sum(hour.returns for hour in its), sum(hour.late for hour in its)]
        numbers = [len(its), *named, len(its) - sum(named), *sums]
        lines.append("  ".join((f"{day:<10}", *(f"{number:>8,}" for number in numbers))))
    return lines


def stretches(found: Sequence[HourState]) -> list[str]:
    """A heading and one line for hours without a gap that share a state and an error."""
    lines = [f"{'from (UTC)':<16}  {'to':<16}  {'hours':>6}  {'state':<10}  error"]
    numbers = [Window(read_hour(hour.hour)).number for hour in found]
    for _, members in groupby(
        range(len(found)), key=lambda n: (numbers[n] - n, found[n].state, found[n].error)
    ):
        its = [found[n] for n in members]
        end = Window(read_hour(its[-1].hour)).next.text
        error = " ".join((its[0].error or "").split())
        line = f"{its[0].hour:<16}  {end:<16}  {len(its):>6,}  {its[0].state:<10}  {error}"
        lines.append(line.rstrip())
    return _cut(lines)


def _cut(lines: Iterable[str]) -> list[str]:
    """The lines, on a terminal no longer than it is wide."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    return [
        (line if not width or len(line) <= width else f"{line[: width - 1]}…").rstrip()
        for line in lines
    ]


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def _plain(hour: HourState) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(hour)
    return plain
