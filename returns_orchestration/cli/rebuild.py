"""`rebuild FROM TO`: all tables from raw_returns and raw_webhooks, without one API call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from returns_orchestration.cli.backfill import From, To  # noqa: TC001 - typer reads them
from returns_orchestration.cli.output import say
from returns_orchestration.cli.verify import chosen_span
from returns_orchestration.settings import load_settings
from returns_orchestration.words import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from returns_orchestration.flow.rebuild import Rebuilt
    from returns_orchestration.window import Window


def rebuild(from_: From, to: To) -> None:
    """Rebuild all tables of [FROM, TO) from raw_returns and raw_webhooks, without a request.

    Damaged and foreign files are moved to _quarantine in the lake. If a poll was damaged, its hour
    is named and must be polled again. Exits 1 then, and if a table could not be built.
    """
    settings = load_settings()
    start, end = chosen_span(from_, to)
    from returns_orchestration.flow.from_settings import build_pipeline  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.flow.rebuild import Rebuilder  # noqa: PLC0415

    pipeline = build_pipeline(settings)
    pipeline.lake.check_writable()
    rebuilder = Rebuilder(pipeline, lambda finding: say(finding.text))
    rebuilt = rebuilder.rebuild(start, end)
    report(rebuilt)
    if not rebuilt.is_whole:
        raise typer.Exit(1)


def report(rebuilt: Rebuilt) -> None:
    """What was made, what was quarantined, and what is left to do."""
    for place in rebuilt.quarantined:
        say(f"quarantined {place}")
    for error in rebuilt.failed:
        say(f"failed      {error}")
    say(
        f"Rebuilt {count(rebuilt.hours, 'hour')} and {count(rebuilt.days, 'day')}: "
        f"{count(rebuilt.files, 'file')} changed, {len(rebuilt.quarantined)} quarantined."
    )
    for first, last in _spans(rebuilt.poll_again):
        say(
            f"A poll was lost: run `returns-orchestration backfill {first.text} {last.next.text}`, "
            "or leave it to the sensor `missing_hours`."
        )


def _spans(windows: Iterable[Window]) -> list[tuple[Window, Window]]:
    """First and last hour of each stretch without a gap."""
    spans: list[tuple[Window, Window]] = []
    for window in sorted(windows):
        if spans and spans[-1][1].next == window:
            spans[-1] = (spans[-1][0], window)
        else:
            spans.append((window, window))
    return spans
