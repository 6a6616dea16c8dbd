"""What is made of the replies, in flow order; pure functions of what the lake holds.

``values`` and ``typing`` read one record, ``vocabulary`` knows the API's words, ``landing`` decides
what a poll brought that is new, ``copies`` puts all polls in the order in which they count,
``ownership`` gives each return its hour and folds its copies into one, ``pieces`` finds which of a
return's pieces a copy is, ``aggregates`` counts modes and reasons, ``frames`` makes all tables of
an hour or day. ``rules`` says by which version of all this tables were made. But for ``landing``,
which keeps a poll, nothing here writes a file; nothing knows Dagster.
"""
