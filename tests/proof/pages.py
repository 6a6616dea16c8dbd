"""Every page of Dagster's UI, as its server answers: all that GraphQL gives of runs and assets.

The queries are made from the schema: each field that needs no argument, to a depth, so that pages
of a later Dagster are also covered. The omitted fields repeat data of other queries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dagster import DagsterEventType, DagsterInstance
from dagster_graphql.schema import create_schema
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)
from support.deployment import Deployment

DEEP, SHALLOW = 6, 4
"""Fields within fields: events hold errors and metadata deep within, a list of runs does not."""

_ELSEWHERE = (
    "allRuns asset assetNode assetNodes assetPartitionStatuses assets configField "
    "configType definition dependedBy dependedByKeys dependencies dependencyKeys dependsOn "
    "dependsOnSources executionPlan graph instance job jobs modes op ops parentSnapshotId "
    "partitionKeyConnection partitionKeys partitionNames partitionSet partitionSets "
    "partitionStats partitions pipeline pipelineSnapshot pipelines presets repositories "
    "repository run runOrError runs solid solidHandles solids stats stepStats type"
)
ELSEWHERE = frozenset(_ELSEWHERE.split())
"""Fields that lead to objects with a page of their own, or to Dagster's built-in objects."""

UNANSWERED = frozenset(
    {
        "concurrencyLimit",
        "daemonStatus",
        "dataVersionByPartition",
        "partitionKeysByDimension",
        "partitionsTargetedForAssetKey",
        "pipelineName",
        "staleCausesByPartition",
        "staleStatusByPartition",
    }
)
"""Fields that Dagster's own server answers with an error unless they are queried differently."""

_schema = create_schema().graphql_schema


def pages(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """The name of each page and all its data, as JSON."""
    for field, arguments, depth in _asked(deployment):
        yield _name(field, arguments), _page(deployment, field, arguments, depth)


def _asked(deployment: Deployment) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Each page: the field that serves it, its arguments, and how deep."""
    where, code = deployment.repository()
    for field in ("instance", "workspaceOrError", "locationStatusesOrError", "runsOrError"):
        yield field, {}, DEEP
    for field in ("assetsOrError", "partitionBackfillsOrError", "autoMaterializeTicks"):
        yield field, {}, SHALLOW
    yield "runsFeedOrError", {"limit": 100, "view": "ROOTS"}, DEEP
    yield "runTagsOrError", {"tagKeys": deployment.instance.get_run_tag_keys()}, DEEP
    for field in ("repositoryOrError", "schedulesOrError", "sensorsOrError"):
        yield field, {"repositorySelector": where}, SHALLOW
    for field in ("allTopLevelResourceDetailsOrError", "utilizedEnvVarsOrError"):
        yield field, {"repositorySelector": where}, DEEP
    for sensor in code.get_sensors():
        yield "sensorOrError", {"sensorSelector": where | {"sensorName": sensor.name}}, DEEP
    for schedule in code.get_schedules():
        yield "scheduleOrError", {"scheduleSelector": where | {"scheduleName": schedule.name}}, DEEP
    keys = [{"path": list(key.path)} for key in code.asset_graph.get_all_asset_keys()]
    yield "assetNodes", {"assetKeys": keys, "loadMaterializations": True}, DEEP
    yield "assetsLatestInfo", {"assetKeys": keys}, DEEP
    for key in keys:
        yield "assetOrError", {"assetKey": key}, DEEP
    for check in code.asset_graph.asset_check_keys:
        asset = {"path": list(check.asset_key.path)}
        every = {"assetKey": asset, "checkName": check.name, "limit": 100}
        yield "assetCheckExecutions", every, DEEP
    yield from _asked_of_runs(deployment.instance)


def _asked_of_runs(instance: DagsterInstance) -> Iterator[tuple[str, dict[str, Any], int]]:
    for backfill in instance.get_backfills():
        yield "partitionBackfillOrError", {"backfillId": backfill.backfill_id}, SHALLOW
    for run in instance.get_runs():
        yield "runOrError", {"runId": run.run_id}, DEEP
        yield "logsForRun", {"runId": run.run_id}, DEEP
        for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.LOGS_CAPTURED):
            assert entry.dagster_event
            file = entry.dagster_event.logs_captured_data.file_key
            yield "capturedLogs", {"logKey": [run.run_id, "compute_logs", file]}, SHALLOW


def _name(field: str, arguments: dict[str, Any]) -> str:
    return f"{field}({', '.join(str(value) for value in arguments.values())})"


def _page(deployment: Deployment, field: str, arguments: dict[str, Any], depth: int) -> str:
    root = _schema.query_type
    assert root
    asked = root.fields[field]
    types = {name: str(asked.args[name].type) for name in arguments}
    head = ", ".join(f"${name}: {kind}" for name, kind in types.items())
    given = ", ".join(f"{name}: ${name}" for name in arguments)
    query = f"query {f'({head})' if head else ''} {{ {field} {f'({given})' if given else ''} "
    query += f"{_selection(asked.type, depth)} }}"
    return json.dumps(deployment.ask(query, **arguments), default=str)


def _selection(kind: Any, depth: int) -> str:
    """All fields of a type that need no argument, as a selection; "" for a leaf."""
    named = get_named_type(kind)
    if is_leaf_type(named):
        return ""
    parts = ["__typename"]
    if isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
        parts += _fields(named, depth)
    if isinstance(named, GraphQLUnionType | GraphQLInterfaceType):
        for possible in _schema.get_possible_types(named):
            inner = " ".join(_fields(possible, depth))
            parts += [f"... on {possible.name} {{ {inner} }}"] if inner else []
    return f"{{ {' '.join(parts)} }}"


def _fields(named: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> list[str]:
    found = []
    for name, field in named.fields.items():
        if name in ELSEWHERE | UNANSWERED or any(map(is_required_argument, field.args.values())):
            continue
        inner = _selection(field.type, depth - 1) if depth > 1 else ""
        if is_leaf_type(get_named_type(field.type)):
            found.append(f"{named.name}_{name}: {name}")
        elif inner and inner != "{ __typename }":
            found.append(f"{named.name}_{name}: {name} {inner}")
    return found
