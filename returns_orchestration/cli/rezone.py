"""`rezone FROM TO --time-zone Z`: the naive times of kept polls are of another zone than set."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from returns_orchestration.cli.backfill import From, To  # noqa: TC001 - typer reads them
from returns_orchestration.cli.output import say
from returns_orchestration.cli.rebuild import report
from returns_orchestration.cli.upgrade import read_zone
from returns_orchestration.cli.verify import chosen_span
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.settings import load_settings
from returns_orchestration.window import windows_between
from returns_orchestration.words import be, count


def rezone(
    from_: From,
    to: To,
    time_zone: Annotated[
        str, typer.Option("--time-zone", help="The zone that those polls' naive times are of.")
    ],
) -> None:
    """Correct the time zone of the kept polls of [FROM, TO), and rebuild their tables.

    For polls that were sent while CLICKPOST_TIME_ZONE was wrong. The polls stay as they are, the
    correction is noted in the journal, and no request is sent. The next run polls hours that were
    never polled in the right zone.
    """
    settings = load_settings()
    start, end = chosen_span(from_, to)
    zone = read_zone(time_zone)
    from returns_orchestration.flow.from_settings import build_pipeline  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.flow.rebuild import Rebuilder  # noqa: PLC0415
    from returns_orchestration.stages.landing import finish_unnoted  # noqa: PLC0415

    pipeline = build_pipeline(settings)
    pipeline.lake.check_writable()
    names = pipeline.lake.names()
    windows = list(windows_between(start, end))
    names.load_hours(windows)
    for window in windows:  # a poll that a killed run left without its entry is meant, too
        with suppress(LakeDamaged):  # which the rebuild names
            finish_unnoted(pipeline.lake, names, pipeline.reader, window)
    changed = sum(pipeline.lake.polls.rezone(names, window, zone) for window in windows)
    say(f"{count(changed, 'poll')} {be(changed)} now read in the zone {zone}.")
    rebuilt = Rebuilder(pipeline, lambda finding: say(finding.text)).rebuild(start, end)
    report(rebuilt)
    if not rebuilt.is_whole:
        raise typer.Exit(1)
