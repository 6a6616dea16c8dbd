"""How fast the product is, each figure beside a peer or a floor taken in the same run.

``python -m benchmarks`` (``make bench``) prints one table. ``figures`` is the table; ``site`` is a
lake with its DAGSTER_HOME and the commands run there; ``history`` makes years of records without
making their data; ``looks`` times what looks at every hour (`status`, sensors, schedule); ``year``
times a backfill against a run an hour and against bare requests and files; ``reading`` times the
readers of the finished lake; ``quarter`` counts how many alerts of a quarter are false or missing.
"""
