"""The judgements: the state of every hour, and claims about tables.

``hours`` holds the one rule of an hour's state and ``days`` the inputs of a day; ``status`` gives a
line per hour. ``claims`` judges one hour's tables by pure functions, by the results of ``looks``;
each claim holds, fails, or cannot tell, and the last is no pass. ``news`` are names that were never
seen before. ``due`` decides which hours are asked for, ``attempts`` how long a failed one waits,
and ``memory`` keeps that for a sensor, as ``spans`` of hours; ``budget`` bounds the time of a look.
``hour_index`` keeps the complete, missing and damaged hours and ``failing_claims`` the failing
claims, for sensors and alerts; ``rhythm`` and ``mix`` compare an hour and a day with usual ones.
``verify`` checks every file against its record, and gives ``findings``; ``places`` checks that
every return is in exactly one hour, ``lateness`` measures how late returns appear, and
``open_returns`` finds those that have not ended. ``changes`` lists the changes since a cursor.
``provenance`` gives all that is known of one return: ``sought_return`` recognizes its records,
``candidate_hours`` finds where it may be, ``return_sources`` the polls and webhooks that served it,
``served_copies`` what each of these held, ``return_rows`` its rows in the tables, and ``origins``
the source of each value. ``people`` finds the records that hold an address or number. ``delivery``
judges whether webhooks come as they should, and ``health`` whether the deployment is well. No
module here polls, makes an hour or imports Dagster.
"""
