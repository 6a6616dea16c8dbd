"""Test support: records and rows, stores and servers, Dagster and its daemon.

Records: ``records`` (realistic ones), ``odd_records`` (one for each rule), ``rows`` (from records
to tables), ``spellings`` (ways to echo a value), ``webhooks``. Lakes: ``lakes``,
``counting_store``, ``mortal_store``. Servers on real ports: ``s3_server``, ``gcs_server``,
``real_stores`` (of others), ``proxy``, ``nginx``, ``receiver`` (alerts), ``receivers`` (of
webhooks; ``receive_process``: in a process of its own). Dagster: ``world`` (the simulator, a lake,
a home), ``deployment``, ``unattended`` and ``watched`` (the daemon by hand), ``daemons`` (the real
one), ``mortal_run``; ``alert_process``: alerts alone, in a process of their own. ``measured_polls``
measures one poll.
"""
