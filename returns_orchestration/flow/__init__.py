"""Many hours and days: polled, landed, built, judged and published.

``polling`` asks for windows concurrently; ``build`` makes the tables of an hour and publishes them
if no blocking claim fails; ``relocated`` finds returns that two hours hold; ``days`` counts the
rows of a day, ``all_time`` makes the tables of the whole lake; ``mend`` quarantines the damaged
files of an hour; ``hours`` drives many hours, in a ``run`` that builds each as soon as its
neighbours have landed; ``outcomes`` says what became of each, ``ahead`` has the next one made
meanwhile; ``webhooks`` makes the tables of webhooks, ``imports`` takes webhooks from a file, and
``redeliver`` sends lost ones.
``rebuild`` makes all tables again from the polls and webhooks in the lake, ``forget`` blanks
personal data in it, and ``upgrade`` converts a lake of an earlier format. ``from_settings`` puts
all together. Called by ``defs/`` and ``cli/``; does not import Dagster, so that it is tested
without.
"""
