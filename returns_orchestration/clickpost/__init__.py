"""Ask: one hour of ClickPost's Returns Polling Delta API, read whole or not at all.

What lives here, in reading order:

- ``client.py``        one window, one logical request: its pages, its repeats, its result
- ``reply.py``         whether a reply is good, in the order HTTP status, JSON, meta
- ``bounds.py``        how large a reply may be
- ``body.py``          the bytes of a reply, bounded and decompressed
- ``charsets.py``      the text of a reply, and bytes that are not text
- ``records.py``       the exact text of each record, whatever the others hold
- ``cuts.py``          where records begin and end in a reply that the JSON library refuses
- ``next_page.py``     whether meta.next may be followed
- ``more_records.py``  whether anything but meta.next indicates more records
- ``clocks.py``        by whose clock an hour was polled
- ``redaction.py``     which words of a reply an error may repeat
- ``retry.py``        when to ask again
- ``rate_limit.py``    how fast to ask at all, over all threads and processes
- ``failures.py``      the HTTP library's exceptions in this package's words
- ``transport.py``     key and user name, added below the HTTP client and kept out of all it shows
- ``deadline.py``      sockets that never outlast a reply's total time; proxies

What does not live here: what a record means (``stages/``), where it is kept (``lake/``), which
hours are due (``state/`` and ``defs/``). Settings are passed in. Called by ``defs/`` and by the
command line's ``doctor``; calls ``errors`` and ``window`` only.
"""

from returns_orchestration.clickpost.client import ClickPostClient, Poll
from returns_orchestration.clickpost.deadline import Timeouts
from returns_orchestration.clickpost.rate_limit import InFile, RateLimit, SharedState, State
from returns_orchestration.clickpost.retry import RetryPolicy

__all__ = [
    "ClickPostClient",
    "InFile",
    "Poll",
    "RateLimit",
    "RetryPolicy",
    "SharedState",
    "State",
    "Timeouts",
]
