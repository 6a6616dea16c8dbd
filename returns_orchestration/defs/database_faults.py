"""What a refusal by the database of Dagster's instance means, in words, without its address.

PostgreSQL's own messages name host, port, user and database, so they are neither shown nor kept.
``instance`` and ``postgres`` raise these errors; the rate limit in ``rate_limits`` does, too.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from returns_orchestration.errors import LakeUnwritable, ReturnsError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Fault(NamedTuple):
    """A refusal: its SQLSTATEs or phrases, what it means, and what to do.

    Refusals of a connection have no SQLSTATE in psycopg2, so these are found by their text.
    """

    codes: tuple[str, ...]
    phrases: tuple[str, ...]
    cause: str
    next_step: str
    kind: type[ReturnsError] = LakeUnwritable
    may_pass: bool = False
    """Whether waiting a moment can help."""


AGAIN: Final = "then run the same again; what the lake has by now stays."
AWAY: Final = _Fault(
    ("08000", "08001", "08003", "08004", "08006"),
    (),
    "PostgreSQL, which holds Dagster's runs and events, could not be reached.",
    f"Check that the server runs, and its host and port in dagster.yaml or PGHOST and PGPORT; "
    f"{AGAIN}",
    may_pass=True,
)
FAULTS: Final = (
    _Fault(
        ("28P01", "28000"),
        (
            "password authentication failed",
            "no password supplied",
            "no pg_hba.conf entry",
            "authentication failed",
        ),
        "PostgreSQL refuses the user name or the password.",
        "Correct them in PGUSER and PGPASSWORD, or what dagster.yaml names in their place.",
        SettingsError,
    ),
    _Fault(
        ("3D000",),
        ('" does not exist',),
        "PostgreSQL does not have the database.",
        "Create it, or correct PGDATABASE, or what dagster.yaml names in its place.",
        SettingsError,
    ),
    _Fault(
        ("42501",),
        (),
        "PostgreSQL does not let the user make or change tables in the database.",
        "Make the user the owner of the database.",
        SettingsError,
    ),
    _Fault(
        ("25006",),
        (),
        "PostgreSQL allows only reading: it is a standby, or it is set so.",
        "Let PGHOST, or what dagster.yaml names in its place, lead to the primary server.",
    ),
    _Fault(
        ("53100",),
        ("No space left on device",),
        "The disk of PostgreSQL is full.",
        f"Make room on it, {AGAIN}",
    ),
    _Fault(
        ("53300",),
        ("too many clients", "remaining connection slots"),
        "PostgreSQL has no free connection.",
        f"End what holds them, or raise max_connections; {AGAIN}",
        may_pass=True,
    ),
    _Fault(
        ("57P01", "57P02", "57P03"),
        ("the database system is", "terminating connection"),
        "PostgreSQL is being started or stopped.",
        f"Wait until it is up, {AGAIN}",
        may_pass=True,
    ),
    _Fault(
        ("55P03", "57014"),
        (),
        "PostgreSQL waits for another process, which holds a lock.",
        f"End the process, or wait; {AGAIN}",
    ),
    _Fault(
        ("42P01", "42703"),
        (),
        "Tables or columns of Dagster are absent in the database.",
        "Run `dagster instance migrate`. For a new database, set should_autocreate_tables: true in "
        "dagster.yaml.",
    ),
    _Fault(
        (),
        ("could not translate host name",),
        "The host of PostgreSQL is not known.",
        f"Correct PGHOST, or what dagster.yaml names in its place, or the network; {AGAIN}",
        may_pass=True,  # while a container is started again, its name is known to nobody
    ),
    _Fault(
        (),
        ("SSL", "certificate"),
        "PostgreSQL and this machine do not agree on TLS.",
        "Correct sslmode and the certificates, under params in dagster.yaml.",
        SettingsError,
    ),
    AWAY,
)


def links(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _fault(error: sa.exc.DBAPIError) -> _Fault | None:
    """The fault that is meant; None for a refusal of another kind."""
    code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
    text = str(error.orig)
    for fault in FAULTS:
        if code in fault.codes or (not code and any(part in text for part in fault.phrases)):
            return fault
    # Without a code it is the driver's own: there was no connection, or it has ended.
    return AWAY if not code and isinstance(error, sa.exc.OperationalError) else None


def fault_of_database(error: BaseException) -> ReturnsError | None:
    """The meaning of an error from a database server; None if it is none."""
    for link in links(error):
        if isinstance(link, sa.exc.DBAPIError) and not _is_of_a_file(link):
            fault = _fault(link)
            if fault is not None:
                return fault.kind(fault.cause, next_step=fault.next_step)
            return LakeUnwritable(
                f"PostgreSQL, which holds Dagster's runs and events, refuses a statement "
                f"({type(link.orig).__name__}).",
                next_step=f"Read the log of its server, {AGAIN}",
            )
        if isinstance(link, sa.exc.TimeoutError):
            return AWAY.kind(AWAY.cause, next_step=AWAY.next_step)
    return None


def may_pass(error: BaseException) -> bool:
    """Whether the same can succeed in a moment."""
    found = [_fault(link) for link in links(error) if isinstance(link, sa.exc.DBAPIError)]
    return any(fault is not None and fault.may_pass for fault in found)


def _is_of_a_file(error: sa.exc.DBAPIError) -> bool:
    """Whether it comes from SQLite, whose messages hold no address."""
    return type(error.orig).__module__.startswith("sqlite3")


class _WithoutAddresses(logging.Filter):
    """Puts our words in the place of the server's where Dagster logs that it connects again."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record."""
        given: Any = record.args
        for argument in given if isinstance(given, tuple) else ():
            known = fault_of_database(argument) if isinstance(argument, Exception) else None
            if known is not None:
                record.args = (known.cause,)
        return True


def keep_addresses_out_of_the_log() -> None:
    """From now on. Dagster's storage logs to the root logger."""
    root = logging.getLogger()
    if not any(isinstance(known, _WithoutAddresses) for known in root.filters):
        root.addFilter(_WithoutAddresses())
