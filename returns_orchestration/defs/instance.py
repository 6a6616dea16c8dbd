"""Dagster's instance for the command line, and ranges of hours run in it.

A run starts in this process, on the instance that DAGSTER_HOME names, so that the UI shows it like
any other. Without DAGSTER_HOME the instance is beside the lake.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import dagster._check as check
import sqlalchemy as sa
import yaml  # type: ignore[import-untyped]

from returns_orchestration.defs.assets import HOURLY_STEP, POOL
from returns_orchestration.defs.database_faults import (
    fault_of_database,
    keep_addresses_out_of_the_log,
    links,
)
from returns_orchestration.defs.keys import PLAIN, Keys
from returns_orchestration.defs.registry import HOURLY
from returns_orchestration.errors import LakeUnwritable, ReturnsError, SettingsError
from returns_orchestration.settings import dagster_home
from returns_orchestration.window import CHUNK_HOURS
from returns_orchestration.words import be, count

try:
    import fcntl
except ImportError:  # Windows: processes there must not make a new instance at the same moment
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from returns_orchestration.settings import Settings
    from returns_orchestration.window import Window

REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG})
"""Errors of a disk that is full, read-only or owned by another user."""

HEARTBEAT_SECONDS = 90
"""A daemon gives a sign of life every 30 seconds."""

IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

CONFIGURATION = "dagster.yaml"
SHIPPED_BEFORE = frozenset(
    {
        "958f6aeba2d27d33",
        "50f41f5bb65c9def",
        "6127ae580dfed3a1",
        "1fa768a3e28ad228",
        "a794c3c600db5376",
        "ef7ac560fff6e4a4",
        "428c68484710bdf3",
    }
)
"""The beginning of the sha256 of each dagster.yaml of an earlier release."""

PATTERN = "[]*?"
"""Dagster looks for its configuration by a pattern, in which these letters have a meaning."""

OPENING = ".opening"

CONFIGURATION_ERRORS = (yaml.YAMLError, dg.DagsterError, check.CheckError, ImportError)

EXTRAS = {
    "dagster_postgres": "postgres",
    "psycopg2": "postgres",
    "dagster_celery": "celery",
    "celery": "celery",
    "redis": "celery",
}
"""Modules, and the extra that installs each."""


@dataclass(frozen=True, slots=True)
class RangeResult:
    """How the run of one range ended; ``failure`` holds the message where it did not succeed."""

    run_id: str
    success: bool
    failure: str


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance, made if there is none yet. Raises SettingsError or LakeUnwritable."""
    home = dagster_home(settings)
    if not home.is_absolute():
        raise SettingsError(
            f"DAGSTER_HOME is {str(home)!r}.", next_step="Set it to an absolute path."
        )
    if set(str(home)) & set(PATTERN):
        raise SettingsError(
            f"DAGSTER_HOME is {str(home)!r}, and Dagster reads no dagster.yaml in such a folder.",
            next_step=f"Set it to a path without {' '.join(PATTERN)}.",
        )
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    os.environ["DAGSTER_HOME"] = str(home)  # dagster.yaml refers to it
    keep_addresses_out_of_the_log()
    known: ReturnsError | None = None
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home):
            return _opened(home)
    except ReturnsError:
        raise
    except OSError as error:
        known = _not_opened(home, error.strerror or type(error).__name__)
    except Exception as error:
        known = fault_of_database(error)
        of_files = fault_of_instance(error)
        if known is None and of_files is not None:
            known = _not_opened(home, of_files.cause)
        if known is None:
            raise
    raise known  # here and not above: no library's text becomes its context


def _not_opened(home: Path, fault: str) -> LakeUnwritable:
    return LakeUnwritable(
        f"Dagster's instance could not be opened in {home}: {fault.rstrip('.')}.",
        next_step="Check its permissions and free space, or set DAGSTER_HOME to another folder, "
        "then run the same again.",
    )


def _opened(home: Path) -> dg.DagsterInstance:
    configuration = home / CONFIGURATION
    if not configuration.exists() or _is_shipped_before(configuration):
        configuration.write_text(shipped_configuration())
    try:
        instance = dg.DagsterInstance.from_config(str(home))
        for storage in ("run_storage", "event_log_storage", "schedule_storage"):
            getattr(instance, storage)  # its tables are made when it is first asked for
    except CONFIGURATION_ERRORS as error:
        raise _unusable(home, error) from None
    return instance


def check_launcher(instance: dg.DagsterInstance) -> None:
    """Make the run launcher, which only services use. Raises SettingsError."""
    try:
        _ = instance.run_launcher
    except CONFIGURATION_ERRORS as error:
        raise _unusable(Path(instance.root_directory), error) from None


def _unusable(home: Path, error: Exception) -> SettingsError:
    return SettingsError(
        f"{home / CONFIGURATION} cannot be used: {_in_short(error)}.", next_step=_remedy(error)
    )


def _is_shipped_before(configuration: Path) -> bool:
    """Whether it is an earlier release's, as it was: one that was changed stays."""
    if not configuration.is_file():
        return False
    return hashlib.sha256(configuration.read_bytes()).hexdigest()[:16] in SHIPPED_BEFORE


def _in_short(error: Exception) -> str:
    """The faults of a configuration, without its values: a value may be a password."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"it is no YAML at line {error.problem_mark.line + 1}"
    if (variable := _unset(error)) is not None:
        return f"it needs the variable {variable}, which is not set"
    if (module := _absent(error)) is not None:
        return f"there is no module {module}"
    return f"Dagster refuses it ({type(error).__name__})"


def _remedy(error: Exception) -> str:
    """What to do about a configuration that cannot be used."""
    if (variable := _unset(error)) is not None:
        return f"Set {variable} in the environment of each service and command."
    module = _absent(error)
    if module == "psycopg":
        return "Write `scheme: postgresql+psycopg2` beside the name of the database."
    if module in EXTRAS:
        return f'Install the extra: pip install "returns-orchestration[{EXTRAS[module]}]".'
    return "Correct it, or remove it: the next command puts the shipped one there."


def _unset(error: Exception) -> str | None:
    """The variable that the configuration refers to and that is not set."""
    found = (
        re.search(r'environment variable "(\w+)" which is not set', str(e)) for e in links(error)
    )
    return next((match[1] for match in found if match), None)


def _absent(error: Exception) -> str | None:
    """The module that is not installed."""
    absent = [link.name for link in links(error) if isinstance(link, ImportError) and link.name]
    return absent[-1] if absent else None


def shipped_configuration() -> str:
    """The text of the dagster.yaml that a new DAGSTER_HOME gets."""
    return files("returns_orchestration").joinpath(CONFIGURATION).read_text()


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Keep other processes from opening the instance meanwhile.

    Two that make Dagster's tables at once leave a database that Dagster refuses from then on.
    """
    with (home / OPENING).open("a") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fault_of_instance(error: BaseException) -> ReturnsError | None:
    """The meaning of a refusal by the instance's own storage; None for any other error.

    Dagster lets such an error through as it is, wherever it writes.
    """
    if type(error).__name__ == "CommandError":  # Alembic's, whose tables two processes made at once
        return LakeUnwritable(
            "Dagster's instance is in disorder: two processes made its databases at once.",
            next_step="Move what DAGSTER_HOME holds elsewhere and run the same again; everything "
            "in the lake is reported to a new one without a call.",
        )
    if (known := fault_of_database(error)) is not None:
        return known
    words: str | None = None
    for link in links(error):
        cause = link.orig if isinstance(link, sa.exc.DBAPIError) else link
        if isinstance(cause, sqlite3.Error):
            words = str(cause)
        elif isinstance(cause, OSError) and cause.errno in REFUSALS:
            words = cause.strerror
        if words is not None:
            break
    if words is None:
        return None
    return LakeUnwritable(
        f"Dagster's instance could not be used: {words}.",
        next_step="Check DAGSTER_HOME, its permissions and its free space, then run the same "
        "again; what the lake has by now stays.",
    )


def has_pool_limit(instance: dg.DagsterInstance, keys: Keys) -> bool:
    """Whether runs take turns at the API."""
    default = instance.get_concurrency_config().pool_config.default_pool_limit
    limits = instance.event_log_storage.get_pool_limits()
    return default is not None or any(limit.name == keys.named(POOL) for limit in limits)


def at_work(instance: dg.DagsterInstance) -> str:
    """The daemon or the runs that are at work in the instance; "" if there are none."""
    now = time.time()
    beats = instance.get_daemon_heartbeats().values()
    if any(now - beat.timestamp < HEARTBEAT_SECONDS for beat in beats):
        return "A daemon is alive"
    runs = len(instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS)))
    return f"{count(runs, 'run')} {be(runs)} in progress or queued" if runs else ""


def ranges(windows: Sequence[Window], chunk: int = CHUNK_HOURS) -> Iterator[list[Window]]:
    """``windows``, sorted, as runs without gaps of at most ``chunk`` hours."""
    ordered = sorted(windows)
    for _, members in groupby(
        enumerate(ordered), key=lambda pair: pair[1].hours_to(ordered[0].start) + pair[0]
    ):
        without_gap = [window for _, window in members]
        for at in range(0, len(without_gap), chunk):
            yield without_gap[at : at + chunk]


def range_tags(windows: Sequence[Window]) -> dict[str, str]:
    """The tags that give Dagster a run's range of hours; ``windows`` has no gap."""
    return {
        "dagster/asset_partition_range_start": windows[0].key,
        "dagster/asset_partition_range_end": windows[-1].key,
    }


def run_range(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    windows: Sequence[Window],
    *,
    missing_only: bool,
    keys: Keys = PLAIN,
) -> RangeResult:
    """All hourly assets of ``windows``, which have no gap, as one run in this process."""
    job = definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance,
        raise_on_error=False,
        asset_selection=keys.all_of(HOURLY),
        tags=range_tags(windows),
        run_config={
            "ops": {keys.named(HOURLY_STEP): {"config": {"missing_only": missing_only}}},
            # The command line shows its own progress; everything is in the event log.
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
    )
    failures = [
        event.step_failure_data.user_failure_data
        for event in result.all_events
        if event.is_step_failure
    ]
    text = "\n".join(data.description or "" for data in failures if data)
    return RangeResult(result.run_id, result.success, text or "The run failed; see it in the UI.")
