"""Tell: from plain facts to one message an incident, in the channel the team reads.

Reading order: ``facts`` (what is known, as plain values); the detectors ``verdicts`` (claims that
fail), ``gaps`` (hours that are not there, and why), ``rhythm`` and ``mix`` (unusual hours and
shares, found by ``unusual``), and what the sensor `missing_hours` found (``handover``);
``incidents`` (findings become incidents: opened once, grown
silently, closed with a message); ``told``, ``ends`` and ``words`` (the messages), ``listing`` (the
standing list); ``seen`` and ``state`` (what is kept in the lake under ``_alerts/``), ``outbox``
(what waits for which channel), ``delivery`` (Apprise and the heartbeat), and ``tick`` (all of these
in order, safe to be killed anywhere).

Nothing here knows Dagster: its sensor hands the facts in.
"""
