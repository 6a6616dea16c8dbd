"""`simulate`: the bundled simulator in the foreground."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from returns_orchestration.errors import SettingsError
from returns_orchestration.simulator import (
    FAULT_NAMES,
    AddressTakenError,
    Dataset,
    Sender,
    SimulatorOptions,
    WebhookOptions,
    Webhooks,
    parse_fault,
    serve,
)
from returns_orchestration.window import read_hour


def simulate(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8350,
    seed: Annotated[int, typer.Option(help="The same seed gives the same returns.")] = 2026,
    returns: Annotated[float, typer.Option(help="Mean returns an hour.")] = 16.0,
    rhythm: Annotated[
        bool, typer.Option(help="Days, nights and weekends, or the same in every hour.")
    ] = True,
    edges: Annotated[bool, typer.Option(help="Five more returns around every full hour.")] = False,
    oddities: Annotated[float, typer.Option(help="Share of returns with one oddity.")] = 0.02,
    unusable: Annotated[
        float, typer.Option(help="Share of returns without reference or readable time.")
    ] = 0.0,
    pieces: Annotated[float, typer.Option(help="Share of returns of several pieces.")] = 0.03,
    shop: Annotated[
        bool, typer.Option("--shop", help="The returns of a shop of 300 styles.")
    ] = False,
    troubles_from: Annotated[
        str, typer.Option(help="With --shop: hour or day from which it has troubles to be found.")
    ] = "",
    late_share: Annotated[float, typer.Option(help="Share of returns that appear late.")] = 0.0,
    late_by: Annotated[
        tuple[float, float], typer.Option(help="Shortest and longest lateness, minutes.")
    ] = (15.0, 300.0),
    edge_rule: Annotated[
        str, typer.Option(help="Which ends of a window count: [), [], (], second or ().")
    ] = "[)",
    filter_on: Annotated[
        str, typer.Option(help="Time the API filters on: requested or timestamp.")
    ] = "requested",
    order: Annotated[str, typer.Option(help="Order served: asc, desc or shuffled.")] = "asc",
    zone: Annotated[
        str, typer.Option(help="Zone in which the API reads and writes times.")
    ] = "UTC",
    empty_as_null: Annotated[bool, typer.Option(help="Serve an empty hour as null.")] = False,
    page_size: Annotated[
        int | None, typer.Option(help="Records a page; default: no pages.")
    ] = None,
    latency: Annotated[float, typer.Option(help="Milliseconds before each reply.")] = 0.0,
    rate_limit: Annotated[
        int | None, typer.Option(help="Requests a second beyond which it answers 429.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME[:CALLS[:HOURS]], repeatable: 503, reset:1,2, hang:*:2026-11-09T11:00. "
            f"Names: {', '.join(FAULT_NAMES)}."
        ),
    ] = None,
    key: Annotated[str, typer.Option(help="The key it accepts.")] = "simulator-key",
    user_name: Annotated[str, typer.Option(help="The user name it accepts.")] = "simulator-user",
    log: Annotated[Path | None, typer.Option(help="File for one JSON line a request.")] = None,
    webhook_to: Annotated[
        str, typer.Option(help="Address to which each return's webhooks are sent as time passes.")
    ] = "",
    webhook_key: Annotated[str, typer.Option(help="The key that they have.")] = "",
    webhook_loss: Annotated[float, typer.Option(help="Share of webhooks that are lost.")] = 0.0,
    webhook_twice: Annotated[
        float, typer.Option(help="Share of webhooks that are sent twice.")
    ] = 0.0,
    webhook_delay: Annotated[
        tuple[float, float], typer.Option(help="Shortest and longest delay, minutes.")
    ] = (0.02, 0.3),
    webhook_shuffle: Annotated[
        bool, typer.Option("--webhook-shuffle", help="Send them in any order.")
    ] = False,
    webhook_shape: Annotated[
        str, typer.Option(help="Shape of a body: bare, wrapped or both.")
    ] = "both",
) -> None:
    """Serve the API on this machine, with invented returns, until it is stopped with Ctrl-C."""
    try:
        options = SimulatorOptions(
            seed=seed,
            returns_per_hour=returns,
            rhythm=rhythm,
            edges=edges,
            oddities=oddities,
            unusable=unusable,
            mps_share=pieces,
            shop=shop,
            troubles_from=read_hour(troubles_from) if troubles_from else None,
            late_share=late_share,
            late_by=(timedelta(minutes=late_by[0]), timedelta(minutes=late_by[1])),
            edge_rule=edge_rule,  # type: ignore[arg-type]  # the options say what is allowed
            filter_on=filter_on,  # type: ignore[arg-type]
            order=order,  # type: ignore[arg-type]
            zone=zone,
            empty_as_null=empty_as_null,
            page_size=page_size,
            latency=latency / 1000,
            rate_limit=rate_limit,
            key=key,
            user_name=user_name,
        )
        faults = [parse_fault(text) for text in fault or ()]
        of_webhooks = WebhookOptions(
            loss=webhook_loss,
            twice=webhook_twice,
            delay=(timedelta(minutes=webhook_delay[0]), timedelta(minutes=webhook_delay[1])),
            shuffle=webhook_shuffle,
            shape=webhook_shape,  # type: ignore[arg-type]
        )
        sender = None
        if webhook_to:
            webhooks = Webhooks(Dataset(options), of_webhooks)
            sender = Sender(webhooks, webhook_to, webhook_key, lambda: datetime.now(UTC))
    except ValueError as error:
        raise SettingsError(f"{error}.", next_step="See `simulate --help`.") from None

    def on_ready(base_url: str) -> None:
        typer.echo(f"CLICKPOST_BASE_URL={base_url}")
        typer.echo(f"CLICKPOST_KEY={key}")
        typer.echo(f"CLICKPOST_USER_NAME={user_name}")
        typer.echo(
            "Ctrl-C ends it. Set RETURNS_LAKE too: invented returns must not join real ones."
        )

    if sender is not None:
        sender.start()
    try:
        serve(options, host, port, on_ready=on_ready, faults=faults, log_file=log)
    except AddressTakenError as error:
        raise SettingsError(f"{error}.", next_step="Choose another with --port.") from None
    finally:
        if sender is not None:
            sender.stop()
