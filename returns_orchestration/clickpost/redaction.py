"""Which of the API's own words an error may repeat: words of a fixed list and short numbers.

The API may repeat the request in any spelling (encoded, in pieces, reversed), or the data of a
customer. A list of all secret and personal words cannot be complete, so this is a list of words
that are neither. Every run of other words becomes one ``***``.

What lives here: the list and the redaction. What does not: the key and user name (``transport.py``
keeps them and lists their written forms), the verdict on a reply (``reply.py``, the only caller).
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from returns_orchestration.clickpost.transport import MASK

if TYPE_CHECKING:
    from returns_orchestration.clickpost.transport import Secrets

VOCABULARY: Final = frozenset(
    """
    about accept acceptable accepted access account action active add after again ahead all allow
    allowed already also an and another any api apikey application are argument as at attempt
    attempts attribute auth authenticate authenticated authentication authorisation authorised
    authorization authorized available awb
    back backend bad badly be because been before begin behind being between beyond blank blocked
    body boolean both but by
    cache call called calls can can't cannot carrier change char character characters check choice
    choices client closed code column connection contact contain contains content correct could
    courier create created credential credentials current currently customer
    data database date dates datetime day days ddthh default delay delayed delta denied deprecated
    describe description detail details did didn't differ difference different disabled do document
    documentation does doesn't don't down due duplicate duration during
    each earlier either element email empty enabled encoding end endpoint endtime ensure enter
    enterprise entity entries entry enum equal error errordetail errors exact exactly exceed
    exceeded exceeding exceeds exception exist existing exists expected expecting expire expired
    expires expiry extra
    fail failed failure false fault feature fetch field fields file filter find first float for
    forbidden form format formats found from future
    gateway get given granted greater
    had handle has hasn't have header headers here hh host hour hours how html http https
    id identifier if ignored improper in inactive include including incomplete incorrect index info
    information input inside instead insufficient integer interface internal interval into invalid
    ip is isn't isoformat issue it item items its
    json
    key keys kind kindly
    larger last later latest least length less letters licence license like limit limited limits
    line list load locked login longer longest
    maintenance malformed many match matches matching max maximum may merchant message messages meta
    method mid milliseconds min minimum mins minute minutes mismatch missing mm modified month
    months more most multiple must
    name names need needed needs negative never new next no non none not nothing null number numbers
    object occurred of off old older on once only open operation option optional options or order
    orders other out outside over overlap own
    page pages paging parameter parameters params parse parsing partner passed password past pattern
    payload pending per perform permanently permission permissions permitted phone pin pincode place
    please poll polling positive possible post present previous problem proceed process processed
    processing provide provided proxy put
    query quota
    raised range ranges rate rates reached read reason received record records reference refund
    refused register registered rejected remote removed renew repeat replace reply request requested
    requests require required requires resource response result results retry return returned
    returns revoked
    same schema sec second seconds secs see send sent serializer server service serviceable services
    session set shipment shorter should show signature since size sku slow some something sorry
    source specified ss start started starttime state status still stop string subscription success
    successful successfully such support supported suspended syntax system
    take temporarily temporary text than that the their them then there these they this those
    throttled time timed timedelta timeout times timestamp timezone to today token tokens too total
    try trying type types
    unable unauthenticated unauthorised unauthorized unavailable under unexpected unique unit
    unknown unprocessable unreachable unrecognised unrecognized unsupported until up update upgrade
    upstream url use used user username users using utc uuid uuuuuu
    valid validation validationerror value valueerror values version
    wait was way webhook went were what when where whether which while whitelisted whole why wide
    wider width window windows with within without wrong
    year years yet you your yyyy
    zone
    """.split()  # noqa: SIM905 - a page of words is for reading
)
"""Lower case. No name of a person or a place, no number and no word of one letter."""

_SEPARATORS: Final = r"\s.,:;!?()\[\]{}<>=/|\"'-"
_TOKEN: Final = re.compile(rf"(?:[^{_SEPARATORS}]|(?<=[a-z])'(?=(?:s|t)\b))+")
_NUMBER: Final = re.compile(r"[0-9]{1,4}")
_LETTERS: Final = ("a", "A")
_SHORT: Final = 2
_DIGITS: Final = 6
"""Digits that a message may show in all: with more, its numbers could be one long number."""


def redacted(message: str, secrets: Secrets, longest: int) -> str:
    """``message`` on one line of at most ``longest`` characters, known words only; may be empty."""
    # Masked before blanks are folded and again after it: a value may hold blanks of its own.
    text = "".join(letter if letter.isprintable() else " " for letter in secrets.mask(message))
    text = secrets.mask(" ".join(text.split()))[: 10 * longest]
    text = _known(text, secrets)
    if secrets.spelled_in(text):
        return MASK
    return f"{text[: longest - 1]}…" if len(text) > longest else text


def _known(text: str, secrets: Secrets) -> str:
    """``text`` with one mask for every run of words that must not be shown."""
    tokens = list(_TOKEN.finditer(text))
    if not tokens:
        return text
    shown = _shown([token[0] for token in tokens], secrets)
    parts = [text[: tokens[0].start()], tokens[0][0] if shown[0] else MASK]
    for (before, token), (last, this) in zip(pairwise(tokens), pairwise(shown), strict=True):
        if last or this:
            parts += [text[before.end() : token.start()], token[0] if this else MASK]
    return "".join([*parts, text[tokens[-1].end() :]])


def _shown(words: list[str], secrets: Secrets) -> list[bool]:
    """Which of ``words`` may be shown.

    A number or a word of one letter needs a known word on either side, one of three letters among
    them; a word of two letters needs a known word or such a number on one side. Several in a row,
    or one beside a masked word, may be pieces of something longer.
    """
    mine = [not secrets.much_of(word) for word in words]
    known = [m and len(w) > 1 and _is_known(w) for w, m in zip(words, mine, strict=True)]
    numbers = [m and bool(_NUMBER.fullmatch(w)) for w, m in zip(words, mine, strict=True)]
    few = sum(len(w) for w, number in zip(words, numbers, strict=True) if number) <= _DIGITS
    near = [[i for i in (at - 1, at + 1) if 0 <= i < len(words)] for at in range(len(words))]
    single = [
        ((few and numbers[at]) or (mine[at] and word in _LETTERS))
        and all(known[i] for i in near[at])
        and any(len(words[i]) > _SHORT for i in near[at])
        for at, word in enumerate(words)
    ]
    return [
        single[at]
        or (known[at] and (len(word) > _SHORT or any(known[i] or single[i] for i in near[at])))
        or (known[at] and len(words) == 1)
        for at, word in enumerate(words)
    ]


def _is_known(word: str) -> bool:
    """Whether the list has ``word``, or all parts of a field's name such as ``start_time``."""
    return word.isascii() and all(
        part in VOCABULARY for part in word.strip("_").casefold().split("_")
    )
