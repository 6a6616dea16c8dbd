"""`verify [FROM TO]`: every file of the lake against what was recorded when it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings
from returns_orchestration.window import read_hour
from returns_orchestration.words import count

if TYPE_CHECKING:
    from datetime import datetime

    from returns_orchestration.lake import Lake
    from returns_orchestration.settings import Settings


def verify(
    from_: Annotated[
        str | None, typer.Argument(metavar="[FROM", help="First hour or day; default: all")
    ] = None,
    to: Annotated[str | None, typer.Argument(metavar="TO]", help="Where to stop")] = None,
) -> None:
    """Compare every file of the lake with its recorded checksum; name each that differs.

    Exits 1 for torn, altered, missing and foreign files, which `rebuild` mends. Over the whole lake
    it also checks that every usable record of every kept poll is in exactly one hour.
    """
    if (from_ is None) != (to is None):
        raise SettingsError("FROM without TO.", next_step="Give both, or none for the whole lake.")
    span = None if from_ is None or to is None else chosen_span(from_, to)
    settings = load_settings()
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - only where needed
    from returns_orchestration.state.verify import Verifier  # noqa: PLC0415

    lake = Lake(open_store(settings.lake))
    verifier = Verifier(lake, settings.report_time_zone)
    found = verifier.everything() if span is None else verifier.between(*span)
    spans: set[str] = set()
    faults = 0
    for finding in found:
        say(finding.text)
        if finding.is_fault:
            spans |= {finding.span} if finding.remedy != "restore" else set()
            faults += 1
    if faults:
        say(f"{count(faults, 'finding')} in {count(verifier.files, 'file')}.{_advice(spans)}")
        raise typer.Exit(1)
    if from_ is None and not verifier.files:
        say(f"{settings.lake} holds no file yet; is RETURNS_LAKE right?")
        return
    say(
        f"OK: {count(verifier.files, 'file')} compared with recorded checksums, no difference. "
        "`status` lists missing hours."
    )
    if from_ is None and not _is_every_record_in_one_hour(settings, lake):
        raise typer.Exit(1)


def _is_every_record_in_one_hour(settings: Settings, lake: Lake) -> bool:
    """Say whether every usable record of every kept poll is in exactly one hour."""
    from returns_orchestration.stages.typing import RecordReader  # noqa: PLC0415 - only where needed
    from returns_orchestration.state.places import find_misplaced  # noqa: PLC0415

    reader = RecordReader(settings.time_zone)
    placed = find_misplaced(lake, reader)
    say(placed.text)
    return placed.is_right


def chosen_span(from_: str, to: str) -> tuple[datetime, datetime]:
    """FROM and TO as hours. Raises SettingsError where they are none, or the wrong way round."""
    start, end = read_hour(from_), read_hour(to)
    if start >= end:
        same = "TO is not included: give the hour or day after it."
        raise SettingsError(
            f"FROM {from_} is not before TO {to}.",
            next_step=same if start == end else "Turn them round.",
        )
    return start, end


def _advice(spans: set[str]) -> str:
    """The one `rebuild` that mends all; what belongs to no hour is mended with any."""
    if not spans:
        return ""
    named = [span.split() for span in spans if "FROM" not in span]
    if not named:
        return " Mend them with `returns-orchestration rebuild FROM TO`, over any hours."
    first, last = min(span[0] for span in named), max(span[1] for span in named)
    return f" Mend them with `returns-orchestration rebuild {first} {last}`."
