"""`redeliver FROM TO`: lost webhooks sent after all, to one's own receiver or to another."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.cli.verify import chosen_span
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings
from returns_orchestration.window import windows_between
from returns_orchestration.words import count, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from returns_orchestration.flow.redeliver import Lost, Outcome, Target
    from returns_orchestration.settings import Settings


def redeliver(
    from_: Annotated[str, typer.Argument(metavar="FROM", help="First hour or day.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="Where to stop.")],
    to_url: Annotated[
        str | None, typer.Option("--to", help="Address; default RETURNS_REDELIVER_URL.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be sent, and send nothing.")
    ] = False,
) -> None:
    """Send the webhooks of [FROM, TO) that were lost: what polls brought of these returns.

    Each body is the payload as a poll served it, with personal data, the key of
    RETURNS_REDELIVER_KEY in the header `webhook_key`, and the header X-Returns-Redelivered. Oldest
    first, five a second, and last those that were refused before. It stops after ten refusals in a
    row. A return that was sent twice without an answer is uncertain: it is listed and not sent
    again. The payload is that of the first poll: where the return had moved on by then, it shows
    the later state.

    Exits 1 if a webhook is still not delivered, or uncertain.
    """
    settings = load_settings()
    target = _target(settings, to_url)
    from returns_orchestration.flow.redeliver import DONE, Redeliverer, place_of  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415
    from returns_orchestration.stages.typing import RecordReader  # noqa: PLC0415

    lake = Lake(open_store(settings.lake))
    many = Redeliverer(lake, RecordReader(settings.time_zone), target)
    windows = list(windows_between(*chosen_span(from_, to)))
    place = place_of(target.url)
    found = Counter(one.why_not for one in many.lost(windows))
    say(_summary(found, place))
    if dry_run:
        for line in _listed(many.lost(windows)):
            say(line)
        raise typer.Exit(int(found.keys() - {DONE} != set()))
    lake.check_writable()
    outcome = many.send(windows)
    for line in _ending(outcome, place):
        say(line)
    not_sent = sum(number for why, number in found.items() if why not in {"", DONE})
    if outcome.refused or outcome.uncertain or outcome.why or not_sent:
        raise typer.Exit(1)


def _target(settings: Settings, given: str | None) -> Target:
    """The target. Raises SettingsError where none is given, or its address is not usable."""
    from returns_orchestration.address import is_plain_web_address  # noqa: PLC0415
    from returns_orchestration.flow.redeliver import Target  # noqa: PLC0415

    url = given or (settings.redeliver_url.get_secret_value() if settings.redeliver_url else "")
    if not url:
        raise SettingsError(
            "Nothing says where to.",
            next_step="Set RETURNS_REDELIVER_URL, or give an address with --to.",
        )
    if not is_plain_web_address(url):
        raise SettingsError(
            "The address of `redeliver` is not usable.",
            next_step="Give an http:// or https:// address without a query or a user.",
        )
    key = settings.redeliver_key.get_secret_value() if settings.redeliver_key else ""
    return Target(url, key)


def _summary(found: Counter[str], place: str) -> str:
    sent = found[""]
    others = [f"{why}: {number:,}" for why, number in sorted(found.items()) if why]
    more = f" Not sent ({'; '.join(others)})." if others else ""
    return f"{count(found.total(), 'webhook')} lost; {sent:,} to be sent to {place}.{more}"


def _listed(lost: Iterator[Lost]) -> Iterator[str]:
    for one in lost:
        why = f"  not sent: {one.why_not}" if one.why_not else ""
        yield f"{one.window.text}  {printable(one.reference)}{why}"


def _ending(outcome: Outcome, place: str) -> Iterator[str]:
    yield (
        f"Sent {count(outcome.accepted, 'webhook')} to {place}, which took them; "
        f"{len(outcome.refused):,} refused."
    )
    for (window, reference), status in outcome.refused.items():
        yield f"refused     {window.text}  {printable(reference)}: {status}"
    for one in outcome.uncertain:
        yield (
            f"uncertain   {one.window.text}  {printable(one.reference)}: sent twice without an "
            "answer. Ask its owner whether it arrived."
        )
    if outcome.why:
        yield (
            f"Stopped: {outcome.why}. {count(outcome.left, 'webhook')} not sent. To do: mend it "
            "and run the same again; what was delivered is not sent twice."
        )
