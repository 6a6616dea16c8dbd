"""The lake keeps what was polled and what was made of it: Parquet in hive folders, and its record.

``store`` puts, gets and lists bytes by path, alike for a folder and for S3, GCS and Azure, which
``objects`` speaks to, ``remote`` opens and ``refusals`` understands; ``trial`` tries whether it
keeps what a poll needs. ``records`` says what is noted of every file, ``parquet`` how frames become
files; ``partitions`` knows tables, hours and paths; ``poll_log`` remembers polls that brought
nothing new and failed attempts; ``aside`` is where what was found bad goes.
What lives elsewhere: the columns (``tables``), and what goes into the files (``stages/``).

Layout: ``<table>/date=YYYY-MM-DD/hour=HH/*.parquet`` for readers, and beside the tables
``_records/`` with one JSON file for each poll kept, one for the tables made of each hour, a pointer
for each window that served a record requested in another hour, a link between hours that held one
return, and a note of each poll that was found bad. That poll stands in ``_aside/``, the memory of
polls in ``_poll_log/``, temporary files in ``_tmp/``.
"""

from returns_orchestration.lake.partitions import Lake
from returns_orchestration.lake.records import MadeRecord, PollRecord
from returns_orchestration.lake.store import Store, open_store

__all__ = ["Lake", "MadeRecord", "PollRecord", "Store", "open_store"]
