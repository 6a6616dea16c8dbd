"""Hourly returns from ClickPost's Returns Polling Delta API, as Dagster assets over Parquet.

The rooms, in the order the data flows:

- ``errors``, ``window``, ``env_file``, ``address``, ``words``, ``network``,
  ``tables``, ``settings``: what all others use.
- ``clickpost/`` asks: one window, one logical request.
- ``lake/`` keeps: atomic files in hive folders, and a journal of every one of them.
- ``receiver/`` listens: webhooks, stored durably and brought into the lake; its own process.
- ``stages/`` makes: from the replies as received to returns, items and aggregates.
- ``state/`` judges: the one rule of an hour's state, and claims about tables as pure functions.
- ``flow/`` runs: many hours and days, polled, landed, made and published.
- ``report/`` shows: a page for people, from tables alone.
- ``alerts/`` notifies: incidents, and one message for each.
- ``defs/`` with ``definitions`` is the Dagster project; ``cli`` the command line over it.
- ``simulator/`` is the API, bundled; it shares no code with the rest.
"""
