"""Dagster's SQLite event log with its connections kept open and the events of an hour in one write.

Dagster 1.13 opens, commits and closes a connection three times for each event, and each close
writes the log back into the database. That is 131 ms for the 18 events of an hour; with connections
kept open and `synchronous=NORMAL` it is 33 ms (two cores), and with one transaction of each
database for the whole hour a fifth of that. A crash of the machine may then lose the last events,
but damages nothing, and the hours concerned are known from the lake. Chosen in dagster.yaml;
``event_batches`` holds what does not depend on the database.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import sqlalchemy as sa
from dagster import DagsterInvariantViolationError, StringSource
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
)
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from sqlalchemy.pool import QueuePool

from returns_orchestration.defs.event_batches import INSERT_EVENT, BatchedEvents
from returns_orchestration.defs.index_queries import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dagster._serdes import ConfigurableClassData

    from returns_orchestration.defs.event_batches import Batch

OPEN_RUNS = 4
"""Databases of runs that are kept open beside the index; each run has one of its own."""

BUSY_SECONDS = 60

PAGE_BYTES: Final = 16_384
"""The page size of a new index. Most rows have two kilobytes, of which a page of 4,096, SQLite's
usual one, holds a single one: a quarter of the file would be empty."""

STAMPS: Final = sa.table("alembic_version", sa.column("version_num"))
"""The release of the tables, in each database."""

MIRRORED = {*ASSET_EVENTS, *ASSET_CHECK_EVENTS, *EVENT_TYPE_TO_PIPELINE_RUN_STATUS}
"""The events that the index holds, too; all others are only in the database of their run."""


class PooledSqliteEventLogStorage(BatchedEvents, SqliteEventLogStorage):
    """Uses the same files as the storage it extends, so either may be used at any time.

    ``home`` in dagster.yaml is DAGSTER_HOME.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open nothing yet; ``base_dir`` holds one database for each run, and the index."""
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """See Dagster's ConfigurableClass."""
        return {"home": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """See Dagster's ConfigurableClass."""
        return cls(str(Path(config_value["home"]) / "history" / "runs"), inst_data)

    def _has_asset_key_col_on_connection(self, conn: sa.Connection, column_name: str) -> bool:
        """Whether a column is there; asked for every event, and it never goes away either."""
        known = f"asset_keys.{column_name}"
        if known not in self._known and super()._has_asset_key_col_on_connection(conn, column_name):
            self._known.add(known)
        return known in self._known

    def _initdb(self, engine: sa.Engine, for_index_shard: bool = False) -> None:  # noqa: FBT001, FBT002 - Dagster's
        if for_index_shard:
            sa.event.listen(engine, "connect", _with_large_pages)
        super()._initdb(engine, for_index_shard)

    def _store_together(self, batch: Batch) -> None:
        """One transaction of each database; that of the run's is committed first, as Dagster does.

        After a kill in between, the index lacks the hour, and the next run reports it.
        """
        batch.write(self._event_to_row)
        mirrored = [n for n, e in enumerate(batch.events) if e.dagster_event_type in MIRRORED]
        doubled: list[str] = []
        with (
            self._db_lock,
            self._engine(INDEX_SHARD_NAME).begin() as index,
            self._engine(batch.run_id).begin() as run,
        ):
            if mirrored:
                # No other process writes until the commit, so the ids follow the first one's.
                first: Any = index.execute(INSERT_EVENT, batch.rows[mirrored[0]])
                ids = count(first.inserted_primary_key[0])
                batch.ids = dict(zip(mirrored, ids, strict=False))
            batch.aim(self._event_to_row)
            run.execute(INSERT_EVENT, [batch.rows[n] for n in range(len(batch.events))])
            if mirrored[1:]:
                rows = [{"id": batch.ids[n], **batch.rows[n]} for n in mirrored[1:]]
                index.execute(INSERT_EVENT, rows)
            if mirrored:
                self._note_assets(index, batch)
                doubled = self._note_checks(index, batch)
        if doubled:
            raise DagsterInvariantViolationError(doubled[0])

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    def _engine(self, shard: str) -> sa.Engine:
        engine = self._engines.get(shard)
        if engine is None:
            engine = sa.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                # One thread at a time has it: the caller holds a lock.
                connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            )
            sa.event.listen(engine, "connect", _write_ahead)
            if shard not in self._initialized_dbs:
                if not _is_stamped(engine):
                    self._initdb(engine)
                self._initialized_dbs.add(shard)
            if shard == INDEX_SHARD_NAME:
                _add_index(engine)
            self._engines[shard] = engine
            self._close_oldest()
        self._engines.move_to_end(shard)
        return engine

    def _close_oldest(self) -> None:
        runs = [shard for shard in self._engines if shard != INDEX_SHARD_NAME]
        for shard in runs[:-OPEN_RUNS]:
            self._engines.pop(shard).dispose()

    def close_run(self, run_id: str) -> None:
        """Close the database of a run that is going to be removed."""
        engine = self._engines.pop(run_id, None)
        if engine is not None:
            engine.dispose()
        self._initialized_dbs.discard(run_id)

    def dispose(self) -> None:
        """Close all connections."""
        super().dispose()
        while self._engines:
            self._engines.popitem()[1].dispose()


def _is_stamped(engine: sa.Engine) -> bool:
    """Whether Dagster has made its tables: then it would read all its migrations and do nothing."""
    with engine.connect() as connection:
        stamps = sa.inspect(connection).has_table(STAMPS.name)
        return stamps and connection.execute(sa.select(STAMPS)).first() is not None


def _add_index(engine: sa.Engine) -> None:
    """Make the index that Dagster lacks, in a home of whatever release; it takes a while there."""
    # Where it cannot be made, pages are slower, and the next process tries again.
    with suppress(sa.exc.OperationalError), engine.begin() as connection:
        connection.execute(VERDICTS)


def _with_large_pages(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")


def _write_ahead(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
    connection.execute("PRAGMA synchronous=NORMAL")
