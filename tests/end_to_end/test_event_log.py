"""The event log with open connections holds what Dagster's own holds; either reads the other."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from returns_orchestration.defs.event_log import OPEN_RUNS, PooledSqliteEventLogStorage
from returns_orchestration.defs.instance import PLAIN_CONFIGURATION

OURS = PLAIN_CONFIGURATION
DAGSTERS = yaml.safe_dump({"telemetry": {"enabled": False}})
KEY = dg.AssetKey("numbers")


def home(folder: Path, configuration: str, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(configuration)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return dg.DagsterInstance.from_config(str(folder))


@dg.asset(partitions_def=dg.StaticPartitionsDefinition([str(n) for n in range(8)]))
def numbers() -> int:
    return 1


@pytest.mark.parametrize(("first", "second"), [(OURS, DAGSTERS), (DAGSTERS, OURS)])
def test_either_storage_goes_on_where_the_other_stopped(
    first: str, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for configuration, partitions in ((first, "012"), (second, "345")):
        with home(tmp_path / "home", configuration, monkeypatch) as instance:
            for key in partitions:
                assert dg.materialize([numbers], instance=instance, partition_key=key).success
            seen = set(instance.get_materialized_partitions(KEY))
    assert seen == set("012345")


def test_few_databases_of_runs_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with home(tmp_path / "home", OURS, monkeypatch) as instance:
        for key in range(8):
            dg.materialize([numbers], instance=instance, partition_key=str(key))
        storage = instance.event_log_storage
        assert isinstance(storage, PooledSqliteEventLogStorage)
        assert isinstance(storage, SqliteEventLogStorage)
        assert len(storage._engines) <= OPEN_RUNS + 1
