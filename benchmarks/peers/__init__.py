"""The product beside tools that do less, on one simulator, in one run.

``comparison`` runs them and makes the table. The peers are plain scripts, as somebody would write
them who needs the returns and nothing else: ``bare_loop`` (httpx, msgspec and polars),
``dlt_pipeline`` and ``plain_dagster``; ``script`` is what they are given and print. ``python -m
benchmarks.peers`` makes this table alone.
"""
