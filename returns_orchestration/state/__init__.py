"""What may be believed: claims about tables, and the state of every hour.

``claims`` judges one hour's tables by pure functions; each claim holds, fails, or cannot be told,
and the last is no pass. ``hours`` tells of every hour whether it is complete, empty or missing.
``verify`` holds every file against what was recorded of it. Nothing here polls, writes or knows
Dagster.
"""
