"""The speed of the product, each figure beside a peer or a floor measured in the same run.

``python -m benchmarks`` (``make bench``) prints one table. ``figures`` is the table; ``site`` is a
lake with its DAGSTER_HOME and the commands run there; ``history`` makes years of records without
their data; ``looks`` times the code that looks at every hour (`status`, sensors, schedule);
``year`` times a backfill against a run an hour and against bare requests and files; ``peers`` times
it beside tools that do less, in a table of their own; ``extremes`` times a very large hour and one
hour alone; ``reading`` times the readers of the finished lake; ``quarter`` counts the false and the
missing alerts of a quarter; ``receiver`` sends webhooks as fast as they are taken. Two are run
alone: ``workers`` gives the same hours to one, two and three Celery workers, and ``home`` prunes a
DAGSTER_HOME of years.
"""
