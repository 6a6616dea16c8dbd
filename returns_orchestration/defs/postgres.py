"""Dagster's storage in PostgreSQL, for several machines: chosen in deploy/postgres/dagster.yaml.

It is Dagster's own but for three things. The events of an hour are stored in one transaction.
Processes that open an empty database at the same moment make its tables one after another. A
refusal of the connection is named in words, without the address. Needs the extra `postgres`;
imported by no other module.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import sqlalchemy as sa
from dagster import DagsterInvariantViolationError
from dagster._core.storage.event_log.schema import AssetKeyTable
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import (
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import NullPool

from returns_orchestration.defs.database_faults import (
    fault_of_database,
    keep_addresses_out_of_the_log,
    may_pass,
)
from returns_orchestration.defs.event_batches import INSERT_EVENT, BatchedEvents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dagster._serdes import ConfigurableClassData
    from dagster_postgres.auth import PgTokenProvider

    from returns_orchestration.defs.event_batches import Batch

OPENING: Final = 7_201_912
"""The key of the lock under which tables are made; any number that no other program uses."""

STORING: Final = 7_201_914
"""The key of the lock under which a batch gets its ids and is committed."""

NEXT_IDS: Final = sa.text(
    "SELECT nextval(pg_get_serial_sequence('event_logs', 'id')) FROM generate_series(1, :count)"
)

OPENING_SECONDS: Final = 120
"""Longer than making all tables takes."""

PAUSES: Final = (0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds before each further attempt to connect, where waiting can help."""


class BatchingPostgresStorage(DagsterPostgresStorage):
    """Runs, events and ticks in one database. Configured like Dagster's ``storage: postgres``."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,  # noqa: FBT001, FBT002 - Dagster's
        inst_data: ConfigurableClassData | None = None,
        token_provider: PgTokenProvider | None = None,
    ) -> None:
        """Connect, and make the tables that are absent. Raises LakeUnwritable or SettingsError."""
        keep_addresses_out_of_the_log()
        engine = create_pg_engine(postgres_url, token_provider, poolclass=NullPool)
        known = None
        try:
            with _alone(engine):
                super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
                self._event_log_storage = BatchingPostgresEventLogStorage(
                    postgres_url, should_autocreate_tables, token_provider=token_provider
                )
        except Exception as error:
            known = fault_of_database(error)
            if known is None:
                raise
        finally:
            engine.dispose()
        if known is not None:
            raise known  # here and not above: the server's own text does not become its context

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """See Dagster's ConfigurableClass."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
        )


class BatchingPostgresEventLogStorage(BatchedEvents, PostgresEventLogStorage):
    """Uses the same tables as the storage it extends, so either may be used at any time."""

    def _store_together(self, batch: Batch) -> None:
        """One transaction. Batches are stored one after another, so that ids appear in order."""
        batch.write(self._event_to_row)
        with self.index_transaction() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(STORING)))
            ids = connection.execute(NEXT_IDS, {"count": len(batch.events)}).scalars()
            batch.ids = dict(enumerate(sorted(ids)))
            batch.aim(self._event_to_row)
            rows = [{"id": i, **batch.rows[n]} for n, i in batch.ids.items()]
            connection.execute(INSERT_EVENT, rows)
            self._note_assets(connection, batch)
            doubled = self._note_checks(connection, batch)
        if doubled:
            raise DagsterInvariantViolationError(doubled[0])

    def _put_asset(self, index: sa.Connection, asset: str, values: Mapping[str, Any]) -> None:
        # Another process may put the same one at this moment.
        put = postgresql.insert(AssetKeyTable).values(asset_key=asset, **values)
        index.execute(put.on_conflict_do_update(index_elements=["asset_key"], set_=dict(values)))

    @contextmanager
    def settled(self) -> Iterator[sa.Connection]:
        """See ``settled_connection``: a batch waits for those that read, and they for it."""
        with self.index_transaction() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(STORING)))
            yield connection


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[None]:
    """Keep other processes, on whatever machine, from making the tables meanwhile.

    The end of the connection releases the lock, also where its process is killed.
    """
    with _connected(engine) as connection, connection.begin():
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{OPENING_SECONDS}s'"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(OPENING)))
        yield


def _connected(engine: sa.Engine) -> sa.Connection:
    for pause in PAUSES:
        try:
            return engine.connect()
        except sa.exc.DBAPIError as error:
            if not may_pass(error):
                raise
        time.sleep(pause)
    return engine.connect()
