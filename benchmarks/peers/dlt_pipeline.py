"""dlt: one `pipeline.run` over all hours, into Parquet files in a folder; ingest alone.

It runs in an environment that has dlt and nothing of the product, see `make .venv-peers/installed`.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import dlt  # type: ignore[import-not-found]  # it is not in the environment of the product
from dlt.sources.helpers import requests  # type: ignore[import-not-found]

from benchmarks.peers.script import CONNECTIONS, Asked, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def poll_all(asked: Asked) -> None:
    """Load the records of all hours."""
    os.environ["EXTRACT__WORKERS"] = str(CONNECTIONS)
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    session = requests.Client().session

    @dlt.resource(name="returns", primary_key="return_reference_number", write_disposition="append")  # type: ignore[untyped-decorator]
    def returns() -> Iterator[Callable[[], list[dict[str, Any]]]]:
        for start in asked.starts:
            yield records(asked.parameters(start))

    @dlt.defer  # type: ignore[untyped-decorator]  # in one of the threads
    def records(parameters: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
        reply = session.get(asked.url, params=parameters)
        reply.raise_for_status()
        return reply.json()["result"]

    pipeline = dlt.pipeline(
        pipeline_name="clickpost",
        pipelines_dir=str(asked.folder.with_name(f"{asked.folder.name}-state")),
        destination=dlt.destinations.filesystem(bucket_url=str(asked.folder)),
        dataset_name="returns",
    )
    pipeline.run(returns(), loader_file_format="parquet").raise_on_failed_jobs()


if __name__ == "__main__":
    run(lambda asked: partial(poll_all, asked))
