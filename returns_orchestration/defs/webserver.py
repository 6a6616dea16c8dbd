"""Dagster's webserver with the guard of ``guard`` in front: ``python -m`` this, with its options.

Dagster has no option for a middleware, so the method that lists its own is extended (Dagster 1.13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster_webserver.cli import cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.middleware import Middleware

from returns_orchestration.defs.guard import Guard
from returns_orchestration.settings import load_accounts

if TYPE_CHECKING:
    from collections.abc import Iterable


def guard(hosts: Iterable[str]) -> None:
    """Let every webserver of this process refuse requests from pages of other sites."""
    unguarded = DagsterWebserver.build_middleware

    def guarded(server: DagsterWebserver[Any, Any]) -> list[Middleware]:
        return [Middleware(Guard, hosts=tuple(hosts)), *unguarded(server)]

    DagsterWebserver.build_middleware = guarded  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    guard(load_accounts()[0].ui_hosts)  # the same for all accounts
    cli(prog_name="dagster-webserver")
