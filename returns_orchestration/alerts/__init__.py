"""Alerts: from plain facts to one message an incident, in the channel the team reads.

Reading order: ``kinds`` (each kind of incident, whole); ``watch`` (what is remembered of the lake);
``detection`` (what is wrong now), with ``gaps`` for missing and damaged hours and their causes;
``life_cycle`` (findings become incidents, or stay silent for a named reason); ``messages``;
``digest`` (the weekly figures); ``outbox`` (waiting messages, by channel) and ``delivery`` (Apprise
and the heartbeat); ``listing`` (the standing list); ``state`` (what is kept in the lake under
``_alerts/``), and ``tick`` (all of these in order, safe to be killed anywhere).

This package does not import Dagster: Dagster's sensor hands the facts in.
"""
