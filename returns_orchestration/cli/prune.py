"""`prune`: remove old runs from DAGSTER_HOME now, and give their room back to the disk."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from returns_orchestration.cli.forget import done
from returns_orchestration.cli.output import say
from returns_orchestration.settings import dagster_home, load_accounts


def prune(
    compact: Annotated[
        bool, typer.Option(help="Write the databases anew, which gives free room to the disk.")
    ] = True,
) -> None:
    """Do now what is done each day: remove old runs, and blank personal data that is due.

    What is older than RETURNS_KEEP_RUNS_DAYS goes from DAGSTER_HOME. Records that are older than
    RETURNS_RAW_DAYS are blanked, and what a killed `forget` has left is completed.

    Old runs, their logs, ticks and superseded events go. The newest materialization and result of
    each check stay for every hour and day, so Dagster shows them as before, and nothing is asked
    for again. Runs that are queued or under way stay.
    """
    accounts = load_accounts()
    from returns_orchestration.defs import compact as compacting  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.defs import prune as pruning  # noqa: PLC0415
    from returns_orchestration.defs.code_location import build_defs  # noqa: PLC0415
    from returns_orchestration.defs.health import bytes_in  # noqa: PLC0415
    from returns_orchestration.defs.instance import open_instance  # noqa: PLC0415
    from returns_orchestration.defs.keys import Keys  # noqa: PLC0415
    from returns_orchestration.flow.forget import Forgetter, Forgot  # noqa: PLC0415
    from returns_orchestration.flow.from_settings import build_pipeline  # noqa: PLC0415

    home = dagster_home(accounts[0])
    now = datetime.now(UTC)
    before = now - accounts[0].keep_runs
    has_failed, in_files, size = False, True, bytes_in(home)
    for settings in accounts:
        repository = build_defs(settings).get_repository_def()
        names = {sensor.name for sensor in repository.sensor_defs}
        names |= {schedule.name for schedule in repository.schedule_defs}
        pipeline, keys = build_pipeline(settings), Keys.of_settings(settings)
        with open_instance(settings) as instance:
            pruned = pruning.prune(instance, pipeline.lake, keys, names, before, now)
            in_files = pruning.is_in_files(instance)
        of_account = f" of {settings.account}" if settings.account else ""
        say(f"Removed {pruned}{of_account}, older than {before:%Y-%m-%d %H:%M} UTC.")
        forgot = Forgetter(pipeline).keep_up()
        for line in done(forgot) if forgot != Forgot() else ():
            say(line, settings)
        has_failed = has_failed or bool(forgot.errors)
    fault = compacting.compact(home) if compact and in_files else ""
    if in_files:
        taken = bytes_in(home) / 1e6
        say(f"DAGSTER_HOME takes {taken:,.1f} MB; it took {size / 1e6:,.1f} MB before.")
    else:
        say("PostgreSQL uses the free room for new runs. VACUUM FULL would give it to the disk.")
    if fault:
        say(
            f"Not all free room was given back to the disk: {fault}. Run the same again while no "
            "run is under way.",
            err=True,
        )
    if fault or has_failed:
        raise typer.Exit(1)
