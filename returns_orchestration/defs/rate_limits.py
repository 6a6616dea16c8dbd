"""Where the rate limit of a deployment is kept: in Dagster's PostgreSQL, else in DAGSTER_HOME.

The rules are in ``clickpost/rate_limit.py``. In PostgreSQL it is a row for each deployment, named
by the prefix of its asset keys, in one table of ours; the clock is the server's, so those of the
machines do not matter. A request locks the row for a moment, and the server releases it where the
process is killed, stopped or cut off from the network.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from returns_orchestration.clickpost import InFile, State
from returns_orchestration.defs.database_faults import fault_of_database
from returns_orchestration.settings import dagster_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import dagster as dg

    from returns_orchestration.clickpost import SharedState
    from returns_orchestration.clickpost.rate_limit import T
    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.errors import ReturnsError
    from returns_orchestration.settings import Settings

FILE: Final = "clickpost-rate-limit.json"

UNDEFINED_TABLE: Final = "42P01"

LOCKED: Final = sa.text(
    # Both for this transaction only. A holder that does not go on is ended, and releases the row.
    "SET LOCAL lock_timeout = '20s'; SET LOCAL idle_in_transaction_session_timeout = '10s'; "
    # In this form the clock is read once the row is locked, and not before the wait for it.
    "WITH locked AS (SELECT state FROM clickpost_rate_limits WHERE name = :name FOR UPDATE) "
    "SELECT state, CAST(extract(epoch FROM clock_timestamp()) AS double precision) FROM locked"
)
STORE: Final = sa.text("UPDATE clickpost_rate_limits SET state = :state WHERE name = :name")
ADD: Final = sa.text(
    "INSERT INTO clickpost_rate_limits (name, state) VALUES (:name, '{}') ON CONFLICT DO NOTHING"
)
MAKE: Final = sa.text(
    "CREATE TABLE IF NOT EXISTS clickpost_rate_limits (name text PRIMARY KEY, state text NOT NULL)"
)
MAKING: Final = 7_201_913
"""The key of the lock under which the table is made; see ``postgres.OPENING``."""

CONNECTION: Final = {
    # A server that has vanished is noticed within half a minute.
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Options of psycopg2."""


@contextmanager
def shared_rate_limit(
    instance: dg.DagsterInstance, settings: Settings, keys: Keys
) -> Iterator[SharedState]:
    """The place where all runs and commands of a deployment or account share their rate limit."""
    storage: Any = instance.event_log_storage
    url = getattr(storage, "postgres_url", None)
    if url is None:
        yield InFile(dagster_home(settings) / keys.named(FILE))
        return
    from dagster_postgres.utils import create_pg_engine  # noqa: PLC0415 - of the extra `postgres`

    # One thread at a time uses it. A connection of its own, as each request needs it.
    token = storage._token_provider  # noqa: SLF001 - Dagster has no other way to it
    engine = create_pg_engine(url, token, pool_size=1, max_overflow=0, connect_args=CONNECTION)
    try:
        yield InPostgres(engine, "/".join(keys.prefix))
    finally:
        engine.dispose()


class InPostgres:
    """A state in a row of PostgreSQL, which is made if it is absent."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        """Connect not yet; ``name`` is that of the row."""
        self._engine = engine
        self._name = name

    def change(self, rule: Callable[[State, float], T]) -> T:
        """See SharedState. Raises SettingsError where the database refuses the user."""
        known: ReturnsError | None = None
        try:
            return self._changed(rule)
        except sa.exc.SQLAlchemyError as error:
            known = fault_of_database(error)
            if known is None:
                raise
        raise known  # here and not above: the server's text does not become its context

    def _changed(self, rule: Callable[[State, float], T]) -> T:
        # The table may be absent, and the server may have closed the connection that is kept open.
        for _ in range(2):
            try:
                return self._once(rule)
            except sa.exc.DBAPIError as error:
                if getattr(error.orig, "pgcode", None) == UNDEFINED_TABLE:
                    self._make_table()
                elif not error.connection_invalidated:
                    raise
        return self._once(rule)

    def _once(self, rule: Callable[[State, float], T]) -> T:
        with self._engine.begin() as connection:
            name = {"name": self._name}
            row = connection.execute(LOCKED, name).fetchone()
            if row is None:
                connection.execute(ADD, name)
                row = connection.execute(LOCKED, name).one()
            state = State.read(row[0])
            result = rule(state, row[1])
            connection.execute(STORE, {**name, "state": state.written().decode()})
            return result

    def _make_table(self) -> None:
        with self._engine.begin() as connection:
            # Two that make it at once fail, in spite of IF NOT EXISTS.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MAKING)))
            connection.execute(MAKE)
