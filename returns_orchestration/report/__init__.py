"""What people look at: the page `returns_report`, made from the tables of the lake alone.

``figures`` gathers the rows of some whole days, ``counts`` adds them up, and ``standouts`` finds
what differs from usual. ``summary`` has the eight figures at the top, ``charts`` draws, ``page``
puts the HTML together from pieces of ``markup``, and ``files`` puts it into the lake. ``numbers``
and ``downloads`` write numbers and CSV. ``exports`` writes a table to one file, and ``views`` gives
the lake to DuckDB and dbt. No module here polls, makes a table or imports Dagster.
"""
