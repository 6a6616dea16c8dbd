"""`doctor`: what works, what does not, what to do."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from returns_orchestration.cli import demo_lake
from returns_orchestration.cli.output import say
from returns_orchestration.errors import NoConnection, ReturnsError, SettingsError
from returns_orchestration.settings import dagster_home, load_accounts
from returns_orchestration.settings.sources import warnings
from returns_orchestration.window import last_settled
from returns_orchestration.words import count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from returns_orchestration.settings import Settings

SHORT_KEY = 16


def doctor() -> None:
    """Check settings, credentials, lake and Dagster's instance, and make one call to the API."""
    found = warnings()
    for warning in found:
        say(f"warn  settings: {warning}")
    if not found:
        say("ok    settings: every variable is known and valid")
    accounts = load_accounts()
    _look_at_accounts(accounts)
    well = [_examine(settings) for settings in accounts]
    if not all(well):
        raise typer.Exit(1)


def _look_at_accounts(accounts: Sequence[Settings]) -> None:
    """What may not be meant of several accounts together: their keys, and folders of the lake."""
    named: dict[tuple[str, str], list[str]] = {}
    for each in accounts:
        if each.key:
            named.setdefault((each.base_url, each.key.get_secret_value()), []).append(each.account)
    for same in named.values():
        if len(same) > 1:
            say(
                f"warn  settings: {' and '.join(same)} have the same key, so one account of "
                "ClickPost is polled for each of them, and at the sum of their rates. To do: name "
                "the variable of its own key for each, or keep one of them"
            )
    first = accounts[0]
    if not first.account:
        return
    from returns_orchestration.lake import open_store  # noqa: PLC0415 - only where needed
    from returns_orchestration.lake.journal import JOURNAL  # noqa: PLC0415

    with suppress(ReturnsError):  # `_lake` names the fault
        store = open_store(first.lakes, brief=True)
        if store.children(JOURNAL)[0]:
            say(
                f"warn  lake: {first.lakes} itself is the lake of a single account, from before "
                "RETURNS_ACCOUNTS. To do: move it to the account that it belongs to, see "
                "docs/how-to/accounts.md"
            )
        for folder in store.children("")[0]:
            if folder not in first.account_names and store.children(f"{folder}/{JOURNAL}")[0]:
                say(
                    f"warn  lake: {first.lakes}/{folder} is the lake of no account. It is not "
                    "polled, and `forget` does not blank it. To do: rename it to the account that "
                    "it belongs to, or remove it, see docs/how-to/accounts.md"
                )


def _examine(settings: Settings) -> bool:
    """Look at one account; whether all is well."""
    if settings.account:
        say(f"\n{settings.account}", settings)
    _look_at_settings(settings)
    say(f"ok    calls: {_calls(settings)}", settings)
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("lake", _lake),
        ("Dagster", _instance),
        ("credentials", _credentials),
        ("API", _call),
    ]
    failed = False
    for name, look in checks:
        try:
            say(f"ok    {name}: {look(settings)}", settings)
        except NoConnection as error:
            failed = True
            say(
                f"FAIL  {name}: {error.cause} Check from this machine that {settings.base_url} "
                "answers, and correct CLICKPOST_BASE_URL or the network.",
                settings,
            )
        except ReturnsError as error:
            failed = True
            say(f"FAIL  {name}: {error}", settings)
            if name == "credentials":
                say("      API: not asked, as there are no credentials")
                break
    return not failed


def _look_at_settings(settings: Settings) -> None:
    """What may not be meant."""
    is_here = urlsplit(settings.base_url).hostname in {"127.0.0.1", "::1", "localhost"}
    if is_here and not demo_lake.is_used():
        say(
            f"warn  settings: CLICKPOST_BASE_URL is this machine and not ClickPost. What it serves "
            f"is kept in {settings.lake}",
            settings,
        )
    if not (settings.alert_urls or settings.heartbeat_url or demo_lake.is_used()):
        say(
            "warn  alerts: no channel (RETURNS_ALERT_URLS) and no heartbeat (RETURNS_HEARTBEAT_URL)"
            " is set, so faults are shown in Dagster's UI and log only",
            settings,
        )
    if any(len(key.get_secret_value()) < SHORT_KEY for key in settings.webhook_keys):
        say(
            f"warn  webhooks: a key of RETURNS_WEBHOOK_KEYS has less than {SHORT_KEY} characters. "
            "Whoever guesses it can send webhooks: choose a long random text",
            settings,
        )


def _calls(settings: Settings) -> str:
    """What the ages of RETURNS_REPOLL_AFTER_HOURS cost."""
    ages = settings.repoll_after_hours
    until = f", the last time {count(ages[-1], 'hour')} after its end" if ages else ""
    return (
        f"each hour is polled {count(1 + len(ages), 'time')}{until}: "
        f"{count(24 * (1 + len(ages)), 'call')} a day"
    )


def _lake(settings: Settings) -> str:
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - only where needed

    Lake(open_store(settings.lake, brief=True)).check_writable()
    return f"{settings.lake} can be written"


def _instance(settings: Settings) -> str:
    from returns_orchestration.defs.assets import POOL  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.defs.instance import (  # noqa: PLC0415
        has_pool_limit,
        open_instance,
    )
    from returns_orchestration.defs.keys import Keys  # noqa: PLC0415
    from returns_orchestration.defs.lost_runs import Broker  # noqa: PLC0415
    from returns_orchestration.defs.prune import is_in_files  # noqa: PLC0415

    named = bool(os.environ.get("DAGSTER_HOME"))
    with open_instance(settings) as instance:
        keys = Keys.of_settings(settings)
        if not has_pool_limit(instance, keys):
            typer.echo(
                f"warn  Dagster: the pool {keys.named(POOL)} has no limit, so runs ask the API "
                "side by side. To do: set `concurrency: pools: {granularity: run, "
                "default_limit: 1}` in dagster.yaml."
            )
        in_files = is_in_files(instance)
        launcher = instance.run_launcher
        if isinstance(launcher, Broker) and (fault := launcher.broker_fault()):
            raise SettingsError(fault, next_step="Start Redis, or correct CELERY_BROKER_URL.")
    if in_files and not settings.lake_is_a_folder and not named:
        typer.echo(
            "warn  Dagster: the lake is in an object store, but DAGSTER_HOME is not set, so each "
            "machine has its own runs and rate limit. To do: set DAGSTER_HOME, and for several "
            "machines use PostgreSQL."
        )
    where = "files there" if in_files else "a database server"
    return f"its instance in {dagster_home(settings)} opens; runs and events are in {where}"


def _credentials(settings: Settings) -> str:
    settings.credentials()
    return "CLICKPOST_KEY and CLICKPOST_USER_NAME are set"


def _call(settings: Settings) -> str:
    """One call, without repeats: a doctor says what is, and does not wait for better."""
    from returns_orchestration.clickpost import ClickPostClient, RetryPolicy  # noqa: PLC0415
    from returns_orchestration.defs.instance import open_instance  # noqa: PLC0415
    from returns_orchestration.defs.keys import Keys  # noqa: PLC0415
    from returns_orchestration.defs.rate_limits import shared_rate_limit  # noqa: PLC0415

    window = last_settled(datetime.now(UTC), settings.settle)
    with ExitStack() as stack:
        shared = None
        with suppress(ReturnsError):  # printed before; one request is none too many
            instance = stack.enter_context(open_instance(settings))
            keys = Keys.of_settings(settings)
            shared = stack.enter_context(shared_rate_limit(instance, settings, keys))
        client = ClickPostClient(
            settings.base_url,
            settings.credentials,
            zone=settings.time_zone,
            max_requests_per_second=settings.max_requests_per_second,
            retry=RetryPolicy(attempts=1),
            rate_limit_in=shared,
        )
        poll = stack.enter_context(client).poll(window)
    return (
        f"{settings.base_url} answered for hour {window.text} in {poll.seconds:.2f} s "
        f"with {count(len(poll.records), 'record')}"
    )
