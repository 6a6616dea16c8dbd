"""From replies to tables, in flow order; pure functions of the content of the lake.

``values`` and ``typing`` read one record, ``vocabulary`` lists the API's known words, ``landing``
decides whether a poll brought something new, ``copies`` puts all polls in the order in which they
count, ``ownership`` gives each return its hour and folds its copies into one, ``pieces`` matches a
copy with a piece of the return, ``states`` lists the states it went through, ``aggregates`` counts
modes and reasons, ``days`` makes the other tables of a day, ``frames`` makes all tables of an hour
or day; ``webhooks`` reads deliveries as events, ``matches`` compares them with polls. ``rules``
holds the version by which tables were made; ``erasure`` blanks what is personal in a record. Only
``landing``, which keeps a poll, writes a file; no module here imports Dagster.
"""
