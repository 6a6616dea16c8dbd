"""Asset keys: the name of each asset behind the prefix of its deployment.

With different prefixes, two deployments can share one Dagster: their assets have different keys,
and each looks only at its own events and runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEPLOYMENT_TAG: Final = "returns_orchestration/deployment"
"""On all runs of the jobs of a deployment with a prefix."""

JOB_TAG: Final = "returns_orchestration/job"
"""On all runs of this project's jobs."""


class Keys(NamedTuple):
    """The asset keys of one deployment."""

    prefix: tuple[str, ...] = ()

    @classmethod
    def around(cls, keys: Iterable[dg.AssetKey]) -> Keys:
        """The keys of the deployment that one of ``keys`` belongs to."""
        key = next(iter(keys), None)
        return cls(() if key is None else tuple(key.path[:-1]))

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
        mine = self.tags_of(run.job_name)
        return mine == {tag: run.tags[tag] for tag in (JOB_TAG, DEPLOYMENT_TAG) if tag in run.tags}

    def is_run(self, run: dg.DagsterRun, jobs: Sequence[str], assets: Iterable[str]) -> bool:
        """Whether ``run`` is this deployment's: one of its ``jobs``, or of its ``assets``."""
        if run.asset_selection:
            return bool(self.names(run.asset_selection) & set(assets))
        tag = run.tags.get(DEPLOYMENT_TAG, "")
        return run.job_name in jobs and tag == "/".join(self.prefix)
