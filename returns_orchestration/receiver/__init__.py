"""The receiver takes webhooks, stores them durably, and brings them into the lake.

``app`` checks the key and answers 200 once a body is stored, ``connection`` bounds what a client
may send around it. ``spool`` holds deliveries until ``drain`` has moved them into the lake:
``spool_file`` locks, opens and recovers its one SQLite file, ``spool_tables`` defines the tables in
it, and ``spool_writer`` makes every change, with shared commits. ``serving`` puts the parts
together. It is a process of its own, so that Dagster's restarts and long runs keep no webhook
waiting.
What lives elsewhere: files and entries in the lake (``lake``), the content of a body (``stages``).
"""
