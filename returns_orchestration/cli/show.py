"""`show REFERENCE`: what each poll and webhook said of one return, and what became of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from returns_orchestration.cli.output import say, worded
from returns_orchestration.cli.show_people import show_people
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings
from returns_orchestration.window import Window, last_settled, read_hour
from returns_orchestration.words import be, count, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from returns_orchestration.settings import Settings
    from returns_orchestration.stages.ownership import Source
    from returns_orchestration.state.provenance import Provenance
    from returns_orchestration.state.return_rows import Place
    from returns_orchestration.state.served_copies import ServedCopy

MASK: Final = "***"
WIDTH: Final = 60
"""Characters of a value that are shown to people; `--json` has all."""

SHOWN_SPANS: Final = 10
FIRST_SAID: Final = ("requested_at", "status", "refund_mode", "source", "awb", "pieces")
"""Columns that are shown of the first poll; the row below has all."""


def show(  # noqa: PLR0913, PLR0917 - its options
    reference: Annotated[
        str | None,
        typer.Argument(metavar="[REFERENCE]", help="The return's reference, as served."),
    ] = None,
    email: Annotated[
        str | None,
        typer.Option(help="What is held of this e-mail address; - reads it from standard input."),
    ] = None,
    phone: Annotated[
        str | None,
        typer.Option(help="What is held of this telephone number; - reads it likewise."),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="First hour of the search; default RETURNS_START")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Where to stop the search; default the newest hour")
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Also the records as received, with personal data; no masks."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object.")] = False,
) -> None:
    """Show what each poll and webhook said of one return, what changed, and where its row is from.

    With --email or --phone: list the returns whose records hold it. All kept polls are read.

    Exits 1 if the return is not known, and then names the missing hours; also if a file could not
    be read, and if no record holds the address or number.
    """
    if sum(given is not None for given in (reference, email, phone)) != 1:
        raise SettingsError(
            "One of REFERENCE, --email and --phone is needed.", next_step="Give exactly one."
        )
    settings = load_settings()
    if reference is None:
        show_people(settings, (from_, to), email, phone, as_json=as_json)
        return
    span = _span(settings, from_, to)
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.stages.typing import RecordReader  # noqa: PLC0415
    from returns_orchestration.state import provenance  # noqa: PLC0415

    lake = Lake(open_store(settings.lake))
    zone = settings.report_time_zone
    found = provenance.find(lake, RecordReader(settings.time_zone), reference, span, zone)
    settled = last_settled(datetime.now(UTC), settings.settle)
    # An hour that is not due yet is not missing.
    found = replace(found, missing=[window for window in found.missing if window <= settled])
    if as_json:
        typer.echo(json.dumps(_plain(found, raw=raw), indent=1))
    else:
        for line in _lines(found, zone.key, span, raw=raw):
            say(line.rstrip())
    if found.unread or not found.is_known:
        raise typer.Exit(1)


def _span(settings: Settings, from_: str | None, to: str | None) -> tuple[Window, Window]:
    """The first and the last hour of the search. Raises SettingsError where there is none.

    Webhooks bring returns of the hour that is not over.
    """
    newest = Window.of(datetime.now(UTC))
    first = Window(read_hour(from_)) if from_ else Window(settings.start)
    first = max(first, Window(settings.start))
    last = min(newest, Window(read_hour(to)).previous) if to else newest
    if last < first:
        raise SettingsError(
            f"There is no hour to search from {first.text} to {last.next.text}.",
            next_step="Hours are from RETURNS_START to the present one.",
        )
    return first, last


# ---- for people


def _lines(
    found: Provenance, zone: str, span: tuple[Window, Window], *, raw: bool
) -> Iterator[str]:
    reference = printable(found.reference)
    if not found.is_known:
        hours = f"{span[0].text} to {span[1].next.text}"
        yield f"No poll or webhook of the hours {hours} has {reference}."
        yield from _unseen(found)
        return
    yield f"Return {reference}"
    for place in found.places:
        yield (
            f"It lives in the hour {place.window.text} and the day {place.day.key} ({zone}): "
            f"{place.why}."
        )
    if not found.places and any(copy.row for copy in found.copies):
        yield "No table holds it: its hour is unfinished or damaged. `status` shows which."
    brought = [c for c in found.copies if c.row is not None and c.repeated_at is None]
    webhooks = sum(copy.source.kind == "webhook" for copy in brought)
    told = f" Webhooks that it was placed: {webhooks}." if webhooks else ""
    yield ""
    yield f"Kept polls that served it: {len(brought) - webhooks}.{told} Times are UTC."
    for of in found.answered:
        times = "once" if of.times == 1 else f"{of.times:,} times, the last at {_time(of.last_at)}"
        more = of.times - of.kept
        new = f"; {count(more, 'answer')} brought nothing new" if more else ""
        yield f"ClickPost answered for the hour {of.window.text} {times}{new}."
    for at, copy in enumerate(found.copies):
        yield ""
        yield from _said(copy, first=at == 0, raw=raw)
    for poll in found.silent:
        yield ""
        yield f"{_time(poll.at)}  {_source(poll)} did not serve it. Nothing is removed for that."
    for window, number in found.quarantined:
        yield ""
        yield (
            f"Poll {number} of {window.text} was found damaged and quarantined; whether it served "
            "this return is not known."
        )
    for place in found.places:
        yield ""
        yield from _row(place, raw=raw)
    for rejected in found.rejected:
        yield ""
        yield (
            f"In rejected_returns of {rejected.window.text}, from the poll of "
            f"{_time(rejected.row['polled_at'])}, position {rejected.row['position']}: "
            f"{rejected.row['reason']}."
        )
    yield from (f"Not read: {error}" for error in found.unread)


def _said(copy: ServedCopy, *, first: bool, raw: bool) -> Iterator[str]:
    """What one poll or webhook said."""
    yield from _when(copy)
    if copy.row is not None:
        if first:
            for name in FIRST_SAID:
                yield f"    {name}: {_value(name, copy.row[name], raw=raw)}"
        for name, (before, now) in copy.changed.items():
            old, new = (_value(name, value, raw=raw) for value in (before, now))
            lost = " (the row keeps the earlier value)" if now is None else ""
            yield f"    {name}: {old} -> {new}{lost}"
        if first or copy.items_changed:
            yield from (f"    item {_item(item)}" for item in copy.items)
        if not first and not copy.changed and not copy.items_changed:
            yield "    nothing that a column holds changed"
    for reason in copy.rejected:
        yield f"    a record was rejected: {reason}"
    if raw:
        yield from (f"    record: {printable(record)}" for record in copy.records)


def _when(copy: ServedCopy) -> Iterator[str]:
    """Which source it is, and when it was heard."""
    again = f", sent {_time(copy.source.at)}, was repeated" if copy.repeated_at else ""
    yield f"{_time(copy.at)}  {_source(copy.source)}{again}"
    if copy.received_at:
        yield f"    received {_time(copy.received_at)}"
    if copy.repeated_at:
        yield "    Another hour's poll had said otherwise in between; this is the newest word."


def _row(place: Place, *, raw: bool) -> Iterator[str]:
    """The row, and which source each of its values is from."""
    yield f"The row in returns, hour {place.window.text}:"
    usual = Counter(place.origins.values()).most_common(1)
    if usual:
        source, why = usual[0][0].source, usual[0][0].why
        yield f"    From {_source(source)} ({why}), where no other source is named."
    for name, value in place.row.items():
        if value is None or value == []:
            continue
        origin = place.origins.get(name)
        is_named = origin is not None and origin != usual[0][0]
        why = f"  [{_source(origin.source)}: {origin.why}]" if origin and is_named else ""
        yield f"    {name}: {_value(name, value, raw=raw)}{why}"
    yield from (f"    item {_item(item)}" for item in place.items)
    if place.merges:
        yield f"    Merged by: {'; '.join(place.merges)}."
    if not place.as_served:
        yield (
            "    The sources give another row: its hour is unfinished, outdated or damaged. "
            "`status` shows which."
        )


def _unseen(found: Provenance) -> Iterator[str]:
    """The hours of which nothing is known, so that absent is not taken for inexistent."""
    from returns_orchestration.state.spans import Spans  # noqa: PLC0415

    for name, windows in (("missing", found.missing), ("waived", found.waived)):
        if not windows:
            continue
        hours = f"{count(len(windows), 'hour')} {be(len(windows))} {name}"
        yield f"{hours}; it may have been requested in one of them:"
        pairs = Spans.of(windows).pairs()
        for start, end in pairs[:SHOWN_SPANS]:
            yield f"    {Window.from_key(start).text} to {Window.from_key(end).text}"
        if len(pairs) > SHOWN_SPANS:
            yield f"    and {len(pairs) - SHOWN_SPANS} more stretches; `status` lists them"
    for window, number in found.quarantined:
        yield f"Poll {number} of {window.text} was found damaged and quarantined."
    yield from (f"Not read: {error}" for error in found.unread)
    if not (found.missing or found.waived or found.quarantined or found.unread):
        yield (
            "No hour of these is missing; the newest may not be polled yet. A reference must be "
            "given exactly as it is served."
        )


def _source(source: Source) -> str:
    if source.kind == "webhook":
        return f"webhook as of {_time(source.at)}"
    return f"poll {source.number} of {source.window.text}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _item(item: dict[str, Any]) -> str:
    shown = ("sku", "quantity", "return_reason", "refund_mode")
    said = ", ".join(f"{name} {_value(name, item[name], raw=True)}" for name in shown)
    return f"{item['item_index']}: {said}"


def _value(name: str, value: object, *, raw: bool) -> str:
    """A value as people read it; what may be personal is masked."""
    if value is None or value == []:
        return "not given"
    if _is_masked(name, raw=raw):
        return MASK
    if isinstance(value, datetime):
        return _time(value)
    text = ", ".join(map(printable, value)) if isinstance(value, list) else printable(str(value))
    return text if raw or len(text) <= WIDTH else f"{text[:WIDTH]}..."


# ---- for programs


def _plain(found: Provenance, *, raw: bool) -> dict[str, Any]:
    """The same facts as plain values; times are ISO 8601."""
    return {
        "reference": found.reference,
        "known": found.is_known,
        "polls": [_plain_served(copy, raw=raw) for copy in found.copies],
        "rows": [
            {
                "hour": place.window.text,
                "day": place.day.key,
                "why": place.why,
                "as_served": place.as_served,
                "row": _plain_row(place.row, raw=raw),
                "items": [_plain_row(item, raw=raw) for item in place.items],
                "origins": {
                    name: {**_plain_source(origin.source), "why": origin.why}
                    for name, origin in place.origins.items()
                },
                "merges": place.merges,
            }
            for place in found.places
        ],
        "rejected": [
            {
                "hour": rejected.window.text,
                **_plain_row(_without_record(rejected.row, raw=raw), raw=raw),
            }
            for rejected in found.rejected
        ],
        "answered": [
            {
                "hour": of.window.text,
                "times": of.times,
                "last_at": of.last_at.isoformat(),
                "kept": of.kept,
            }
            for of in found.answered
        ],
        "not_served_by": [_plain_source(poll) for poll in found.silent],
        "quarantined": [
            {"hour": window.text, "number": number} for window, number in found.quarantined
        ],
        "missing": [window.text for window in found.missing],
        "waived": [window.text for window in found.waived],
        "unread": list(map(worded, found.unread)),
    }


def _plain_served(copy: ServedCopy, *, raw: bool) -> dict[str, Any]:
    return {
        **_plain_source(copy.source),
        "repeated_at": _plain_value(copy.repeated_at),
        "received_at": _plain_value(copy.received_at),
        "said": None if copy.row is None else _plain_row(copy.row, raw=raw),
        "items": [_plain_row(item, raw=raw) for item in copy.items],
        "changed": {
            name: [_plain_value(value, masked=_is_masked(name, raw=raw)) for value in pair]
            for name, pair in copy.changed.items()
        },
        "items_changed": copy.items_changed,
        "rejected": copy.rejected,
        **({"records": copy.records} if raw else {}),
    }


def _plain_source(source: Source) -> dict[str, Any]:
    """A poll has its number and time; a webhook the hour of the request, and as of when it is."""
    place = {"source": source.kind, "hour": source.window.text}
    if source.kind == "webhook":
        return place | {"as_of": source.at.isoformat()}
    return place | {"number": source.number, "polled_at": source.at.isoformat()}


def _without_record(row: dict[str, Any], *, raw: bool) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in row.items() if raw or name != "record"}


def _plain_row(row: dict[str, Any], *, raw: bool) -> dict[str, Any]:
    return {
        name: _plain_value(value, masked=_is_masked(name, raw=raw)) for name, value in row.items()
    }


def _is_masked(name: str, *, raw: bool) -> bool:
    from returns_orchestration.stages.erasure import PERSONAL_COLUMNS  # noqa: PLC0415

    return name in PERSONAL_COLUMNS and not raw


def _plain_value(value: object, *, masked: bool = False) -> object:
    if masked and value is not None:
        return MASK
    return value.isoformat() if isinstance(value, datetime | date) else value
