"""`forget`: a person's data is blanked in the lake, in what lies there and in what comes later."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings
from returns_orchestration.words import be, count, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from returns_orchestration.flow.forget import Forgot
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.lake import Lake
    from returns_orchestration.lake.forgotten import Receipt
    from returns_orchestration.settings import Settings
    from returns_orchestration.state.people import Holdings

SPOOL_SECONDS = 150.0
"""How long a running receiver may take to bring its webhooks into the lake; it does each minute."""


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it is compared, and its place: a line of a file, which may be told."""

    person: str
    place: str


def forget(
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="References of returns, a line each; - reads them from standard input.",
        ),
    ] = None,
    email: Annotated[
        str | None, typer.Option(metavar="FILE", help="E-mail addresses, likewise.")
    ] = None,
    phone: Annotated[
        str | None, typer.Option(metavar="FILE", help="Telephone numbers, likewise.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is held; change nothing.")
    ] = False,
) -> None:
    """Blank the personal data of people, in all kept polls, tables and quarantined files.

    The returns stay, with their times, references and items, so that every count stays. Polls that
    serve them again are blanked as they land. It cannot be undone. Without options: complete what a
    killed call has left, and do again all that was asked for before, as after a restored backup.

    Exits 1 if no record holds one of the values, or if something could not be blanked.
    """
    if [reference, email, phone].count("-") > 1:
        raise SettingsError(
            "Standard input can give values of one kind only.",
            next_step="Put the others into files.",
        )
    given = [*_given(reference, "reference"), *_given(email, "email"), *_given(phone, "phone")]
    if not given and (reference or email or phone or dry_run):
        raise SettingsError("No value is given.", next_step="Put one on each line.")
    settings = load_settings()
    from returns_orchestration.flow.forget import Forgetter  # noqa: PLC0415
    from returns_orchestration.flow.from_settings import build_pipeline  # noqa: PLC0415 - polars is slow to import

    pipeline = build_pipeline(settings)
    forgetter = Forgetter(pipeline)
    forgetter.check()
    if given and not dry_run and pipeline.lake.receipts.open():
        say("An earlier `forget` was cut off: it is finished first.")
        forgetter.carry_out()
    spool = settings.spool
    is_amiss = _ask_for(pipeline, given, spool, dry_run=dry_run) if given else False
    if dry_run:
        raise typer.Exit(1 if is_amiss else 0)
    is_empty = empty_spool(settings, pipeline.lake)
    forgot = forgetter.carry_out()
    for line in done(forgot):
        say(line)
    if is_amiss or forgot.errors or not is_empty:
        raise typer.Exit(1)


def empty_spool(settings: Settings, lake: Lake) -> bool:
    """Bring webhooks that wait in the receiver's spool into the lake, blanked as they land.

    A receiver that is running does it by itself within a minute; without one it is done here.
    """
    from returns_orchestration.flow.webhooks.blanking import blanking_as_received  # noqa: PLC0415
    from returns_orchestration.receiver.app import Counts  # noqa: PLC0415
    from returns_orchestration.receiver.drain import Drain  # noqa: PLC0415
    from returns_orchestration.receiver.spool import Spool, waiting_in  # noqa: PLC0415
    from returns_orchestration.stages.typing import RecordReader  # noqa: PLC0415

    if not settings.spool.is_file():
        return True
    now, deadline = time.time_ns() // 1_000, time.monotonic() + SPOOL_SECONDS
    try:
        with Spool(settings.spool, settings.spool_bytes) as spool:
            reader = RecordReader(settings.zone_of_webhooks)
            blank = blanking_as_received(lake, reader, settings.keep_raw)
            Drain(spool, lake, Counts(), blank=blank).put_all()
            left = spool.waiting()
    except SettingsError:  # a receiver has it
        while (left := waiting_in(settings.spool, now)) and time.monotonic() < deadline:
            time.sleep(1)
    if left:
        say(f"{count(left, 'webhook')} still {be(left, 'waits', 'wait')} in the spool.")
    return not left


def _ask_for(
    pipeline: HourPipeline, given: Sequence[_Given], spool: Path, *, dry_run: bool
) -> bool:
    """Say what is held of ``given`` and put the receipt; whether something is amiss.

    That is a value that no record holds or held, or a file that cannot be read.
    """
    from returns_orchestration.receiver.spool import bodies_in  # noqa: PLC0415
    from returns_orchestration.stages import erasure  # noqa: PLC0415
    from returns_orchestration.state.people import find_holdings, whole_span  # noqa: PLC0415

    lake = pipeline.lake
    people = {one.person for one in given}
    found = find_holdings(lake, pipeline.reader, people, whole_span(lake), bodies_in(spool))
    receipts = lake.receipts.all()
    seen: set[str] = set().union(*(held.people for held in found.records), found.people)
    known = {person for person in people for one in receipts if _has(one, person)}
    young = [one for one in receipts if one.at > pipeline.clock() - erasure.ZONES_DIFFER]
    is_noted = all(any(_has(one, person) for one in young) for person in people)
    absent = [one for one in given if one.person not in seen | known]
    for line in _held(found, absent):
        say(line)
    if not dry_run and (seen or not is_noted):
        people |= {erasure.reference(h.reference) for h in found.records if h.reference is not None}
        lake.receipts.add(lake.receipts.of(people, pipeline.clock()))
    return bool(absent or found.unread)


def _has(receipt: Receipt, person: str) -> bool:
    from returns_orchestration.lake.forgotten import hashed  # noqa: PLC0415 - polars is slow to import

    return hashed(person, bytes.fromhex(receipt.salt)) in receipt.hashes


def _given(file: str | None, kind: str) -> Iterator[_Given]:
    """The values in ``file``, a line each; empty lines are passed over."""
    from returns_orchestration.stages import erasure  # noqa: PLC0415 - polars is slow to import

    if file is None:
        return
    compared: dict[str, Callable[[str], str | None]] = {
        "reference": erasure.reference,
        "email": erasure.email_given,
        "phone": erasure.phone_given,
    }
    name = "standard input" if file == "-" else printable(Path(file).name)
    for number, line in enumerate(_lines(file, kind), 1):
        text = line.removesuffix("\r")
        if not text.strip():
            continue
        place = f"line {number} of {name}"
        person = compared[kind](text)
        if person is None:
            what = "e-mail address" if kind == "email" else "telephone number"
            raise SettingsError(
                f"Not just one {what} is in {place}. Nothing was changed.",
                next_step="Put one on each line and nothing else, as it is written in an order.",
            )
        yield _Given(person, place)


def _lines(file: str, kind: str) -> list[str]:
    try:
        if file == "-":
            return typer.get_text_stream("stdin").read().split("\n")
        return Path(file).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8 text"
        raise SettingsError(
            f"The file that --{kind} names cannot be read: {reason}.",
            next_step="Name a file with a value on each line, or - for standard input. Values are "
            "not given on the command line, which the shell keeps.",
        ) from None


def _held(found: Holdings, absent: Iterable[_Given]) -> Iterator[str]:
    of_polls = [held for held in found.records if not held.instance]
    webhooks = len(found.records) - len(of_polls)
    returns = len({held.reference for held in of_polls if held.requested_at is not None})
    rejected = sum(held.requested_at is None for held in of_polls)
    polls = {(held.window, held.number) for held in of_polls}
    if of_polls:
        hours = sorted({window for window, _ in polls})
        yield (
            f"Found: {count(returns, 'return')} in {count(len(of_polls), 'record')} of "
            f"{count(len(polls), 'poll')}, hours {hours[0].text} to {hours[-1].next.text}."
        )
    if rejected:
        yield f"{count(rejected, 'record')} of these cannot be used."
    if webhooks:
        yield f"Found in {count(webhooks, 'webhook')}."
    if found.waiting:
        yield f"Found in {count(found.waiting, 'webhook')} in the receiver's spool."
    if found.quarantined:
        yield f"Found in {count(len(found.quarantined), 'quarantined file')}."
    yield from (f"No record holds the value in {one.place}." for one in absent)
    yield from (f"Not read: {error}" for error in found.unread)


def done(forgot: Forgot) -> Iterator[str]:
    """What was blanked and removed, and what is left to do."""
    yield (
        f"Blanked {count(forgot.records, 'record')} in {count(forgot.polls, 'poll')}, "
        f"{count(forgot.webhooks, 'file')} of webhooks and "
        f"{count(forgot.quarantined, 'quarantined file')}; "
        f"{count(forgot.hours, 'hour')} {be(forgot.hours, 'was', 'were')} made again."
    )
    yield from (
        f"Removed {place}: it cannot be read, so it may hold personal data."
        for place in forgot.removed
    )
    yield from (f"Failed: {error}" for error in forgot.errors)
    if forgot.errors:
        yield "Mend these, then run `returns-orchestration forget` without options, to complete it."
    if forgot.held:
        yield (
            f"{count(forgot.held, 'blanked record')} still {be(forgot.held, 'shows', 'show')} an "
            "address or number, in a value that stays, such as a reference."
        )
