"""The asset checks, with their claims and figures as a table in the metadata.

Each asset has one that guards its numbers, and some have one more for news.

They are recorded hour by hour inside the step that makes the asset, since a check in a separate
step does not run when a range fails in part, and an evaluation of a range has no partition.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from returns_orchestration import tables
from returns_orchestration.defs.registry import ASSETS, NEW_NAMES
from returns_orchestration.state.news import judged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData as Target,
    )

    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.defs.registry import Asset
    from returns_orchestration.lake.news import NewName
    from returns_orchestration.settings.wording import Wording
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
                check.name,
                asset=keys.of(asset.name),
                description=check.meaning,
                partitions_def=partitions,
            )
            for asset in assets
            for check in (asset.check, asset.news)
            if check is not None
        ]


def new_names(keys: Keys) -> dg.AssetCheckSpec:
    """The check of new names, which is about all hours at once."""
    return dg.AssetCheckSpec(
        NEW_NAMES.name, asset=keys.of(tables.RETURNS.name), description=NEW_NAMES.meaning
    )


def evaluations(
    key: dg.AssetKey,
    partition: str,
    claims: Sequence[Claim],
    target: Target | None,
    wording: Wording,
) -> Iterator[dg.AssetCheckEvaluation]:
    """The evaluations of an asset's checks for one hour or day; no claims is "cannot tell".

    Wrong or missing numbers and news are judged separately.

    ``target`` is the materialization that is judged: Dagster shows an evaluation for an hour only
    if it targets the hour's newest one. ``wording`` is that of its account.
    """
    claims = _worded(claims, wording)
    asset = ASSETS[key.path[-1]]
    news = [claim for claim in claims if claim.weight == "warning"] if asset.news else []
    both = [(asset.check, [claim for claim in claims if claim not in news])]
    if asset.news is not None and news:
        both.append((asset.news, news))
    for check, found in both:
        yield dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=check.name,
            **_verdict(found),
            blocking=False,
            partition=partition,
            target_materialization_data=target,
        )


def evaluation_of_names(keys: Keys, waiting: Sequence[NewName]) -> dg.AssetCheckEvaluation:
    """The evaluation of the check of new names; ``waiting`` are those not acknowledged."""
    return dg.AssetCheckEvaluation(
        asset_key=keys.of(tables.RETURNS.name),
        check_name=NEW_NAMES.name,
        **_verdict(judged(waiting)),
        blocking=False,
    )


def result(key: dg.AssetKey, claims: Sequence[Claim], wording: Wording) -> dg.AssetCheckResult:
    """The same for an asset without partitions, as a step returns it."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=ASSETS[key.path[-1]].check.name,
        **_verdict(_worded(claims, wording)),
    )


def _worded(claims: Sequence[Claim], wording: Wording) -> Sequence[Claim]:
    if not wording.account:  # as it is for each hour of most deployments
        return claims
    return [replace(claim, figures=wording(claim.figures)) for claim in claims]


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
        "description": "; ".join(claim.figures for claim in failed) or None,
        "metadata": shown,
    }


def _table(claims: Sequence[Claim]) -> str:
    rows = [
        f"| {claim.name.replace('_', ' ')} | {claim.verdict} | {claim.weight} | {claim.figures} |"
        for claim in claims
    ]
    return "\n".join(["| claim | verdict | a failure | figures |", "|---|---|---|---|", *rows])
