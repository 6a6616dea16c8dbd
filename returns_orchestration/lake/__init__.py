"""The lake keeps what was polled and what was made of it: Parquet in hive folders, and a journal.

``store`` puts, gets and lists bytes by path, alike for a folder and for S3, GCS and Azure, which
``objects`` speaks to, ``remote`` opens and ``refusals`` understands, and works on ``many`` files
side by side; ``trial`` tries whether it keeps what a poll needs. ``journal`` defines the sealed
entries of an hour and a day, ``names`` what their names say, ``parquet`` how frames become files;
``lake`` puts and reads polls and tables by hour; ``poll_log`` remembers polls that brought nothing
new and failed attempts, ``news`` names that ClickPost never sent before; ``quarantine`` is where
what was found bad goes; ``format_1`` reads the records of earlier releases.
What lives elsewhere: the columns (``tables``), and what goes into the files (``stages/``).

Layout: ``<table>/date=YYYY-MM-DD/hour=HH/*.parquet`` for readers, and beside the tables
``_journal/date=YYYY-MM-DD/`` with the entries of its hours and of its day, ``_poll_log/``,
``_news/``, ``_quarantine/`` for what was found bad, ``_tmp/`` for temporary files.
"""

from returns_orchestration.lake.journal import Made, Poll
from returns_orchestration.lake.lake import Lake
from returns_orchestration.lake.names import Names
from returns_orchestration.lake.store import Store, open_store

__all__ = ["Lake", "Made", "Names", "Poll", "Store", "open_store"]
