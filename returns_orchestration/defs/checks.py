"""The asset checks: one for each asset, its claims and figures as a table in the metadata.

They are recorded hour by hour inside the step that makes the asset, since a check that is a step of
its own does not run when a range fails in part, and an evaluation of a range has no partition.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData as Target,
    )

    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.state.claims import Claim

NAMES: Final = {
    "raw_returns": "every_record_served_is_accounted_for",
    "returns": "every_return_is_there_once_and_in_its_hour",
    "rejected_returns": "nothing_is_rejected",
    "return_items": "every_item_has_its_return",
    "refund_modes_hourly": "refund_modes_add_up",
    "return_reasons_hourly": "return_reasons_add_up",
    "refund_modes_daily": "refund_modes_of_the_day_are_whole",
    "return_reasons_daily": "return_reasons_of_the_day_are_whole",
    "lateness": "hours_are_polled_again_late_enough",
}
"""Asset to the name of its check, which is a claim."""

FAILED_CLAIMS: Final = "failed"
"""Metadata of an evaluation: the claims that do not hold, as alerts read them."""

MEANINGS: Final = {
    "raw_returns": "The window was read, and served = kept + duplicate + rejected.",
    "returns": "References are unique, times are near the hour, codes, modes and keys are known.",
    "rejected_returns": "No record was without a reference number or a readable request time.",
    "return_items": "Every item belongs to a return of its hour; items are numbered without gaps.",
    "refund_modes_hourly": "Returns, items and quantity are those of returns and return_items.",
    "return_reasons_hourly": "Items and quantity are those of return_items.",
    "refund_modes_daily": "No hour of the day is missing; returns, items and quantity add up.",
    "return_reasons_daily": "No hour of the day is missing; items and quantity add up.",
    "lateness": "The last age of RETURNS_REPOLL_AFTER_HOURS brings hardly anything new.",
}


def specs(
    assets: Iterable[str], partitions: dg.PartitionsDefinition | None, keys: Keys
) -> list[dg.AssetCheckSpec]:
    """The checks of ``assets`` as Dagster declares them, by hour or day where there are some."""
    with warnings.catch_warnings():
        # Checks by partition are a preview feature of Dagster 1.13; recorded by hour they need it.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                NAMES[asset],
                asset=keys.of(asset),
                description=MEANINGS[asset],
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
        check_name=NAMES[key.path[-1]],
        **_verdict(claims),
        blocking=False,
        partition=partition,
        target_materialization_data=target,
    )


def result(key: dg.AssetKey, claims: Sequence[Claim]) -> dg.AssetCheckResult:
    """The same for an asset without partitions, as a step returns it."""
    return dg.AssetCheckResult(asset_key=key, check_name=NAMES[key.path[-1]], **_verdict(claims))


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
