"""The receiver takes webhooks, stores them durably, and brings them into the lake.

``app`` checks the key and answers 200 once a body is stored, ``connection`` bounds what a client
may send around it; ``spool`` stores in one SQLite file with shared commits; ``drain`` moves what is
there into the lake; ``serving`` puts the parts together. It is a process of its own, so that
Dagster's restarts and long runs keep no webhook waiting.
What lives elsewhere: files and entries in the lake (``lake``), the content of a body (``stages``).
"""
