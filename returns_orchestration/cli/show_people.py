"""`show --email` and `show --phone`: which records hold an address or a number."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from returns_orchestration.cli.output import say, worded
from returns_orchestration.errors import SettingsError
from returns_orchestration.window import Window, read_hour
from returns_orchestration.words import be, count, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from returns_orchestration.settings import Settings
    from returns_orchestration.state.people import Held, Holdings


def show_people(
    settings: Settings,
    between: tuple[str | None, str | None],
    email: str | None,
    phone: str | None,
    *,
    as_json: bool,
) -> None:
    """Print what is held of an e-mail address or a telephone number, without repeating it.

    ``between`` are the begin and the end that were given: without them it is the whole lake,
    whatever RETURNS_START is by now.
    """
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.receiver.spool import bodies_in  # noqa: PLC0415
    from returns_orchestration.stages import erasure  # noqa: PLC0415
    from returns_orchestration.stages.typing import RecordReader  # noqa: PLC0415
    from returns_orchestration.state.people import find_holdings, whole_span  # noqa: PLC0415

    given = email if email is not None else phone
    text = typer.get_text_stream("stdin").readline() if given == "-" else given or ""
    person = erasure.phone_given(text) if email is None else erasure.email_given(text)
    if person is None:
        raise SettingsError(
            "That is no e-mail address." if phone is None else "That is no telephone number.",
            next_step="Give it as it is written in an order; - reads it from standard input.",
        )
    lake = Lake(open_store(settings.lake))
    begin, end = between
    first, last = whole_span(lake)
    span = (
        max(first, Window(read_hour(begin))) if begin else first,
        min(last, Window(read_hour(end)).previous) if end else last,
    )
    reader = RecordReader(settings.time_zone)
    found = find_holdings(lake, reader, [person], span, bodies_in(settings.spool))
    if as_json:
        typer.echo(json.dumps(_plain_holdings(found), indent=1))
    else:
        for line in _holdings(found, span):
            say(line)
    if found.unread or not (found.records or found.quarantined or found.waiting):
        raise typer.Exit(1)


def _holdings(found: Holdings, span: tuple[Window, Window]) -> Iterator[str]:
    by_return: dict[str | None, list[Held]] = {}
    webhooks = [held for held in found.records if held.instance]
    of_polls = [held for held in found.records if not held.instance]
    rejected = [held for held in of_polls if held.requested_at is None]
    for held in of_polls:
        if held.requested_at is not None:
            by_return.setdefault(held.reference, []).append(held)
    hours = f"the hours {span[0].text} to {span[1].next.text}"
    if not of_polls:
        yield f"No kept poll of {hours} holds it."
    elif by_return:
        returns, hold = count(len(by_return), "return"), be(len(by_return), "holds", "hold")
        yield f"{returns} of {hours} {hold} it:"
    for reference, records in by_return.items():
        last = max(records, key=lambda held: (held.window, held.number))
        polls = len({(held.window, held.number) for held in records})
        at = f"{last.requested_at:%Y-%m-%d %H:%M}" if last.requested_at else ""
        name = printable(reference or "")
        yield (
            f"  {name}  requested {at}, {count(len(records), 'record')} in "
            f"{count(polls, 'poll')}, the last poll {last.number} of {last.window.text}"
        )
    if rejected:
        hour = ", ".join(sorted({held.window.text for held in rejected}))
        yield f"{count(len(rejected), 'record')} in rejected_returns, hours {hour}"
    if found.waiting:
        hold = be(found.waiting, "holds", "hold")
        yield f"{count(found.waiting, 'webhook')} {hold} it, in the receiver's spool"
    if webhooks:
        hour = ", ".join(sorted({held.window.text for held in webhooks}))
        hold = be(len(webhooks), "holds", "hold")
        yield f"{count(len(webhooks), 'webhook')} {hold} it, received in the hours {hour}"
    yield from (f"Quarantined, and holds it: {path}" for path in found.quarantined)
    yield from (f"Not read: {error}" for error in found.unread)
    if by_return:
        yield "`show REFERENCE --raw` prints all that is held of one return."


def _plain_holdings(found: Holdings) -> dict[str, Any]:
    return {
        "records": [
            {
                "reference": held.reference,
                "requested_at": held.requested_at and held.requested_at.isoformat(),
                "hour": held.window.text,
                **({"receiver": held.instance} if held.instance else {"poll": held.number}),
                "position": held.position,
            }
            for held in found.records
        ],
        "in_spool": found.waiting,
        "quarantined": found.quarantined,
        "unread": list(map(worded, found.unread)),
    }
