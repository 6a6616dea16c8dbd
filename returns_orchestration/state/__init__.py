"""What may be believed: the state of every hour, and claims about tables.

``hours`` holds the one rule of an hour's state and ``days`` what a day is to be made of; ``status``
puts a line an hour. ``claims`` judges one hour's tables by pure functions, by what ``looks`` finds;
each claim holds, fails, or cannot be told, and the last is no pass. ``news`` are names that were
never seen before. ``due`` decides which hours are asked for, ``attempts`` how long one that failed
waits, and ``memory`` is what a sensor keeps of that, as ``spans`` of hours. ``hour_index`` keeps
which hours are complete, missing or damaged and ``failing_claims`` which claims fail, for sensors
and alerts; ``rhythm`` and ``mix`` compare an hour and a day with usual ones. ``verify`` holds every
file against what was recorded of it, by ``findings``; ``places`` tells whether every return is in
exactly one hour, ``lateness`` how late returns appear. ``changes`` finds what was written since a
cursor, ``provenance`` all that is known of one return, and ``origins`` which poll each value is
from. ``health`` judges whether the deployment is well. Nothing here polls, makes an hour or imports
Dagster.
"""
