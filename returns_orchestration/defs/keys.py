"""The names of one deployment's or one account's parts in Dagster.

With different prefixes of their asset keys, two deployments can share one Dagster: each looks only
at its own events and runs. Accounts share even the code location, where the names of jobs, sensors
and all else must differ, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from returns_orchestration.settings import Settings

DEPLOYMENT_TAG: Final = "returns_orchestration/deployment"
"""On all runs of the jobs of a deployment with a prefix."""

JOB_TAG: Final = "returns_orchestration/job"
"""On all runs of this project's jobs."""


class Keys(NamedTuple):
    """The asset keys of one deployment or account, and the names of all else."""

    prefix: tuple[str, ...] = ()
    account: str = ""

    @classmethod
    def of_settings(cls, settings: Settings) -> Keys:
        """Those that ``settings`` give."""
        return cls(settings.key_prefix, settings.account)

    def named(self, what: str) -> str:
        """The name of a job, sensor, schedule, step or pool; an account's begins with its own."""
        return f"{self.account}_{what}" if self.account else what

    def of(self, asset: str) -> dg.AssetKey:
        """The key of an asset."""
        return dg.AssetKey([*self.prefix, asset])

    def all_of(self, assets: Iterable[str]) -> list[dg.AssetKey]:
        """The keys of assets, in their order."""
        return [self.of(asset) for asset in assets]

    def all_partitions_of(self, asset: str) -> dg.AssetDep:
        """A dependency on all partitions of an asset.

        A day of another zone is not whole UTC hours, so Dagster's mapping by time refuses it.
        """
        return dg.AssetDep(self.of(asset), partition_mapping=dg.AllPartitionMapping())

    def name(self, key: dg.AssetKey) -> str | None:
        """The asset of ``key``; None where it is another deployment's."""
        return key.path[-1] if tuple(key.path[:-1]) == self.prefix else None

    def names(self, keys: Iterable[dg.AssetKey]) -> set[str]:
        """The assets of ``keys``."""
        return {name for key in keys if (name := self.name(key)) is not None}

    def tags_of(self, job: str) -> dict[str, str]:
        """The tags of a job, which all its runs have: the job's name, and the prefix if any."""
        deployment = {DEPLOYMENT_TAG: "/".join(self.prefix)} if self.prefix else {}
        return {JOB_TAG: job} | deployment

    def is_tagged(self, run: dg.DagsterRun) -> bool:
        """Whether ``run`` has the tags of one of this deployment's jobs."""
        job = run.tags.get(JOB_TAG, "")
        found = {tag: run.tags[tag] for tag in (JOB_TAG, DEPLOYMENT_TAG) if tag in run.tags}
        return found == self.tags_of(job) and run.job_name == self.named(job)

    def is_run(self, run: dg.DagsterRun, jobs: Sequence[str], assets: Iterable[str]) -> bool:
        """Whether ``run`` is this deployment's: one of its ``jobs``, or of its ``assets``."""
        if run.asset_selection:
            return bool(self.names(run.asset_selection) & set(assets))
        tag = run.tags.get(DEPLOYMENT_TAG, "")
        return run.job_name in map(self.named, jobs) and tag == "/".join(self.prefix)


PLAIN: Final = Keys()
"""Those of a deployment without a prefix and without accounts."""
