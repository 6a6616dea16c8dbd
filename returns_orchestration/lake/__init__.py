"""The lake keeps the polls and the tables made of them: Parquet in hive folders, and a journal.

``store`` puts, gets and lists bytes by path, alike for a folder and for object stores (S3, GCS and
Azure): ``remote`` opens these, ``objects`` sends the requests and ``refusals`` reads the errors;
``many`` works on files side by side, and ``trial`` tests whether a store suits a poll. ``parquet``
turns frames into files.

``journal`` has the folders, seals and digests of entries, ``entry_kinds`` the kinds of entries, and
``entry_names`` reads the name of one; ``names`` has the names of an hour and a day, and ``entries``
puts and reads entries. ``polls`` puts and reads polls, ``lake`` the tables of an hour or a day;
``format`` checks the format of the lake, and ``format_1`` reads the records of earlier releases.

``poll_log`` records polls that brought nothing new and failed attempts, ``news`` names that
ClickPost never sent before, ``forgotten`` whose records are to be blanked, ``webhooks`` the
deliveries that a receiver took, ``redelivered`` those that were sent after all, ``repolls`` since
when hours are polled again at which age; ``quarantine`` takes bad files, ``advice`` tells how they
are mended.

What lives elsewhere: the columns (``tables``), and the content of the files (``stages/``).

Layout: ``<table>/date=YYYY-MM-DD/hour=HH/*.parquet`` for readers, and beside the tables
``_journal/date=YYYY-MM-DD/`` with the entries of its hours and of its day, ``_poll_log/``,
``_news/``, ``_forgotten/``, ``_receivers/``, ``_redelivered/``, ``_repolls/``,
``_quarantine/`` for bad files, ``_tmp/`` for temporary files.
"""

from returns_orchestration.lake.entry_kinds import Made, Poll
from returns_orchestration.lake.lake import Lake
from returns_orchestration.lake.names import Names
from returns_orchestration.lake.store import Store, open_store

__all__ = ["Lake", "Made", "Names", "Poll", "Store", "open_store"]
