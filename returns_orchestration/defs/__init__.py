"""The Dagster project: only this room, ``definitions.py`` and ``cli/`` import Dagster.

``registry`` is the contents page: every asset, declared once. ``code_location`` puts all
definitions together. ``assets`` defines them, ``automation`` holds the schedules and sensors, with
``alerting`` (incidents), ``changes`` (written tables) and ``lost_runs``, and ``prune``, which
removes old runs, and ``compact``, which gives their room back; ``webhook_assets`` and ``webhooks``
do the same for the tables of webhooks, and ``reports`` for the report; ``step`` runs ``flow/`` over
the hours of a run, ``repeats`` finds the runs that a run repeats, ``events`` turns outcomes into
events; ``checks``, ``metadata`` and ``pages`` show claims, figures and descriptions in the UI,
``pictures`` draws small ones; ``keys`` puts a prefix before each asset; ``instance`` runs ranges of
hours for the command line, ``years`` shows the states of many hours at once, which
``index_queries`` reads, ``ticks`` puts right what would keep sensors from being evaluated;
``event_batches`` stores the events of an hour together, in SQLite (``event_log``) or for several
machines in PostgreSQL (``postgres``); ``database_faults`` names what its server refuses, and
``rate_limits`` keeps the rate limit of a deployment in it, or in a file; ``celery_launcher`` and
``celery_worker`` bring runs to other machines. Only ``event_batches``, ``event_log``,
``index_queries``, ``postgres``, ``history``, ``prune`` and ``ticks`` name Dagster's own tables,
whose names and columns are not public (Dagster 1.13).
Loading opens no socket, file or secret.
"""
