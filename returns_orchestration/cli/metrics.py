"""`metrics`: the facts of `health` as Prometheus text, printed, put into a file, or served."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from returns_orchestration.cli.services import HOST
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from returns_orchestration.settings import Settings
    from returns_orchestration.state.health import Facts

FRESH_SECONDS = 15.0
"""How old facts may be that are served: several scrapers at once cost one look."""


def metrics(
    file: Annotated[
        Path | None,
        typer.Option(help="Write to this file, for node_exporter's textfile collector."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Serve on this port of 127.0.0.1 until Ctrl-C.", min=1, max=65535),
    ] = None,
) -> None:
    """Print figures for Prometheus; all names begin with `returns_`."""
    if file is not None and port is not None:
        raise SettingsError("--file and --port at once.", next_step="Give one of them.")
    accounts = load_accounts()
    from prometheus_client import CollectorRegistry, generate_latest, write_to_textfile  # noqa: PLC0415

    registry = CollectorRegistry()
    registry.register(Figures(accounts))
    if port is not None:
        _serve(port, registry)
    elif file is None:
        typer.echo(generate_latest(registry).decode(), nl=False)
    else:
        try:
            write_to_textfile(str(file), registry)
        except OSError as error:
            raise SettingsError(
                f"{file} cannot be written: {error.strerror}.",
                next_step="Check that its folder exists and that this user may write there.",
            ) from None


class Figures:
    """What a registry collects: the facts as they are when somebody asks."""

    def __init__(self, accounts: Sequence[Settings]) -> None:
        self._accounts = accounts
        self._lock = threading.Lock()
        self._gathered: tuple[float, dict[str, Facts]] | None = None

    def collect(self) -> Iterator[Metric]:
        """Each figure; one that is not known is absent. An account's has the label `account`."""
        found = self._facts()
        return figures(found[""]) if "" in found else _of_accounts(found)

    def _facts(self) -> dict[str, Facts]:
        from returns_orchestration.defs.health import gather  # noqa: PLC0415 - Dagster is slow to import

        with self._lock:
            now = time.monotonic()
            if self._gathered is None or now - self._gathered[0] > FRESH_SECONDS:
                at = datetime.now(UTC)
                self._gathered = now, {each.account: gather(each, at) for each in self._accounts}
            return self._gathered[1]


def _of_accounts(found: Mapping[str, Facts]) -> Iterator[Metric]:
    """The figures of all accounts, those of one name together, as Prometheus wants them."""
    from prometheus_client.core import Metric  # noqa: PLC0415

    merged: dict[str, Metric] = {}
    for account, facts in found.items():
        for family in figures(facts):
            alike = Metric(family.name, family.documentation, family.type)
            merged.setdefault(family.name, alike).samples += [
                sample._replace(labels={"account": account} | sample.labels)
                for sample in family.samples
            ]
    yield from merged.values()


def figures(facts: Facts) -> Iterator[Metric]:
    """The facts as gauges. Times are Unix seconds, sizes bytes."""
    from prometheus_client.core import GaugeMetricFamily as Gauge  # noqa: PLC0415

    from returns_orchestration.state.health import LEVELS, judge, level_of  # noqa: PLC0415

    level = LEVELS.index(level_of(judge(facts)))
    yield Gauge("returns_health", "0 ok, 1 warning, 2 critical, 3 unknown", level)
    hours = Gauge("returns_hours", "Hours since RETURNS_START by state", labels=["state"])
    for state, number in facts.states.items():
        hours.add_metric([state], number)
    yield hours
    incidents = Gauge("returns_open_incidents", "Open incidents", labels=["severity"])
    for severity, number in facts.incidents.items():
        incidents.add_metric([severity], number)
    yield incidents
    for name, meaning, moment in (
        (
            "newest_complete_hour_end",
            "End of the newest complete hour",
            facts.newest_complete.end if facts.newest_complete else None,
        ),
        (
            "oldest_missing_hour_end",
            "End of the oldest missing hour",
            facts.oldest_missing.end if facts.oldest_missing else None,
        ),
        ("daemon_heartbeat", "Last sign of life of Dagster's daemon", facts.heartbeat),
    ):
        if moment is not None:
            yield Gauge(f"returns_{name}_timestamp_seconds", meaning, moment.timestamp())
    for name, attribute in (
        ("size_bytes", "size"),
        ("free_bytes", "free"),
        ("inodes", "inodes"),
        ("free_inodes", "free_inodes"),
    ):
        gauge = Gauge(f"returns_disk_{name}", "Of the file system under a place", labels=["place"])
        for disk in facts.disks:
            gauge.add_metric([disk.what], getattr(disk, attribute))
        yield gauge
    if facts.home_bytes:
        yield Gauge("returns_dagster_home_bytes", "Size of DAGSTER_HOME", facts.home_bytes)
    found = facts.delivery
    if found is not None:
        judged = "in the newest 24 hours with returns"
        yield Gauge("returns_webhooks_delivered", f"Webhooks that came {judged}", found.delivered)
        yield Gauge("returns_webhooks_lost", f"Webhooks that were lost {judged}", found.lost)
        yield Gauge("returns_webhooks_waiting", "Webhooks in receivers' spools", found.waiting)
        if found.noted_at is not None:
            at = found.noted_at.timestamp()
            meaning = "Last sign of life of a receiver of webhooks"
            yield Gauge("returns_webhook_receiver_timestamp_seconds", meaning, at)


def _serve(port: int, registry: object) -> None:
    from prometheus_client import start_http_server  # noqa: PLC0415

    try:
        server, thread = start_http_server(port, HOST, registry)  # type: ignore[arg-type]
    except OSError:
        raise SettingsError(
            f"Port {port} is taken by another program.",
            next_step="Choose another port with --port.",
        ) from None
    typer.echo(f"Metrics: http://{HOST}:{port}/metrics (Ctrl-C ends it)")
    try:
        thread.join()
    except KeyboardInterrupt:
        server.shutdown()
