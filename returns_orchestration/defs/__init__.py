"""The Dagster project: the only room that knows Dagster, with ``definitions.py`` and ``cli/``.

``registry`` is the contents page: every asset, declared once. ``assets`` defines them,
``automation`` says what runs by itself, with ``alerting`` (incidents), ``changes`` (what was
written) and ``lost_runs``; ``step`` runs ``flow/`` over the hours of a run, ``repeats`` says what a
run repeats, ``events`` turns outcomes into events; ``checks`` and ``metadata`` say how claims and
figures appear in the UI; ``keys`` puts a prefix before each asset; ``instance`` drives ranges of
hours for the command line; ``history`` and ``event_log`` are where Dagster's own tables are named.
Loading opens no socket, file or secret.
"""
