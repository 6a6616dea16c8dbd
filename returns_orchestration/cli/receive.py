"""`receive`: the receiver of webhooks in the foreground, and `--check` of the way to it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_accounts, load_settings

if TYPE_CHECKING:
    from types import FrameType

    from returns_orchestration.settings import Settings


def receive(
    check: Annotated[
        str, typer.Option("--check", metavar="URL", help="Send a test to URL instead.")
    ] = "",
) -> None:
    """Receive webhooks until SIGTERM: each is stored durably before it is answered with 200.

    Listens at RETURNS_WEBHOOK_LISTEN, accepts the keys in RETURNS_WEBHOOK_KEYS, and brings what it
    received into the lake once a minute. With --check it sends a marked test with each key to URL,
    the address that ClickPost is given, and names the hop that loses the key; exits 1 where a test
    is not accepted.
    """
    if check:
        from returns_orchestration.cli.receive_check import check_the_way  # noqa: PLC0415

        settings = load_settings()
        raise typer.Exit(0 if check_the_way(settings, check, _keys(settings)) else 1)
    accounts = _accounts_with_keys()
    from returns_orchestration.flow.webhooks.blanking import blanking_as_received  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415
    from returns_orchestration.receiver.serving import Address, Intake, serve  # noqa: PLC0415
    from returns_orchestration.stages.typing import RecordReader  # noqa: PLC0415

    logging.getLogger("returns_orchestration").setLevel(logging.WARNING)
    logging.basicConfig(format="%(message)s")
    stop = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)

    def intake(settings: Settings) -> Intake:
        lake, reader = Lake(open_store(settings.lake)), RecordReader(settings.zone_of_webhooks)
        return Intake(
            lake=lake,
            keys=_keys(settings),
            spool=settings.spool,
            blank=blanking_as_received(lake, reader, settings.keep_raw),
            account=settings.account,
        )

    def on_start(bound: int) -> None:
        for each in accounts:
            at = f"http://{each.webhook_listen.rpartition(':')[0]}:{bound}{each.path_of_webhooks}"
            typer.echo(f"Receiving webhooks at {at}; they go to {each.lake}.")

    common = accounts[0]
    host, port = common.listens_at
    is_drained = serve(
        [intake(settings) for settings in accounts],
        Address(host, port, common.webhook_path),
        spool_bytes=common.spool_bytes,
        max_bytes=common.webhook_max_bytes,
        stop=stop,
        on_start=on_start,
    )
    if not stop.is_set():
        typer.echo("The receiver ended by itself.", err=True)
        raise typer.Exit(1)
    if is_drained:
        typer.echo("Stopped.")
        return
    typer.echo("Stopped. Some deliveries stay in the spool; the next start takes them.")
    sys.stdout.flush()
    os._exit(0)  # requests to a lake that does not answer would be waited for


def _accounts_with_keys() -> list[Settings]:
    """The accounts whose webhooks are received: those without a key have none."""
    accounts = load_accounts()
    with_keys = [settings for settings in accounts if settings.webhook_keys]
    if not with_keys:
        _keys(accounts[0])  # raises what to do
    return with_keys


def _keys(settings: Settings) -> list[str]:
    keys = [key.get_secret_value() for key in settings.webhook_keys]
    if not keys:
        raise SettingsError(
            settings.wording("RETURNS_WEBHOOK_KEYS is not set: anybody could send webhooks."),
            next_step="Set it to a long random text, and give ClickPost the same as the header "
            "`webhook_key`.",
        )
    return keys
