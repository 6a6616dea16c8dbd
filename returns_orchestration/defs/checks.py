"""The asset checks: one for each asset, its claims and figures as a table in the metadata.

They are recorded hour by hour inside the step that makes the asset, since a check that is a step of
its own does not run when a range fails in part, and an evaluation of a range has no partition.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from returns_orchestration.defs.registry import ASSETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData as Target,
    )

    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.defs.registry import Asset
    from returns_orchestration.state.claims import Claim

FAILED_CLAIMS: Final = "failed"
"""Metadata of an evaluation: the claims that do not hold, as alerts read them."""


def specs(
    assets: Iterable[Asset], partitions: dg.PartitionsDefinition | None, keys: Keys
) -> list[dg.AssetCheckSpec]:
    """The checks of ``assets`` as Dagster declares them, by hour or day where there are some."""
    with warnings.catch_warnings():
        # Checks by partition are a preview feature of Dagster 1.13; recorded by hour they need it.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                asset.check.name,
                asset=keys.of(asset.name),
                description=asset.check.meaning,
                partitions_def=partitions,
            )
            for asset in assets
        ]


def evaluation(
    key: dg.AssetKey, partition: str, claims: Sequence[Claim], target: Target | None
) -> dg.AssetCheckEvaluation:
    """The evaluation of an asset's check for one hour or day; no claims at all is "cannot tell".

    ``target`` is the materialization that is judged: Dagster shows an evaluation for an hour only
    if it targets the hour's newest one.
    """
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=ASSETS[key.path[-1]].check.name,
        **_verdict(claims),
        blocking=False,
        partition=partition,
        target_materialization_data=target,
    )


def result(key: dg.AssetKey, claims: Sequence[Claim]) -> dg.AssetCheckResult:
    """The same for an asset without partitions, as a step returns it."""
    return dg.AssetCheckResult(
        asset_key=key, check_name=ASSETS[key.path[-1]].check.name, **_verdict(claims)
    )


def _verdict(claims: Sequence[Claim]) -> dict[str, Any]:
    failed = [claim for claim in claims if not claim.holds]
    grave = not claims or any(claim.weight != "warning" for claim in failed)
    shown: dict[str, dg.MetadataValue] = {"claims": dg.MetadataValue.md(_table(claims))}
    if failed:
        fields = ("name", "weight", "verdict", "figures", "cause")
        noted = [{name: getattr(claim, name) for name in fields} for claim in failed]
        shown[FAILED_CLAIMS] = dg.MetadataValue.json(noted)
    return {
        "passed": bool(claims) and not failed,
        "severity": dg.AssetCheckSeverity.ERROR if grave else dg.AssetCheckSeverity.WARN,
        "description": "; ".join(claim.sentence for claim in failed) or None,
        "metadata": shown,
    }


def _table(claims: Sequence[Claim]) -> str:
    rows = [
        f"| {claim.name.replace('_', ' ')} | {claim.verdict} | {claim.weight} | {claim.figures} |"
        for claim in claims
    ]
    return "\n".join(["| claim | verdict | a failure | figures |", "|---|---|---|---|", *rows])
