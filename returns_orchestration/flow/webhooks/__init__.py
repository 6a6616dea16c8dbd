"""The tables of webhooks: events by the hour of receipt, matches by the hour of request, and days.

Everything follows from names in the journal: an hour of receipt from its `received` entries; an
hour of request from its polls' tables, from the events of the hours that its `webhooks` marks name,
and from which verdicts are final; a day from the matches of its hours. Webhooks that a return was
placed are copies of it, which `placed` entries name; the hours of returns with such copies are
built here, too. So a run looks at some dates, builds what does not follow, and a second run finds
nothing to do. An hour whose files cannot be read fails alone.

``pipeline`` drives a run; ``events`` builds the tables of an hour of receipt, ``matches`` those of
an hour of request and ``days`` those of a day. ``rules`` has the settings, and decides whether
tables follow; ``holders`` finds the hour that holds a return, and ``blanking`` blanks deliveries
before they are put into the lake.
"""
