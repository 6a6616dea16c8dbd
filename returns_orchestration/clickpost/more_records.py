"""Signs other than ``meta.next`` that an hour has more records than were served.

Only ``meta.next`` is followed: it is how ClickPost was seen to page. But an API may begin to name
further pages in another way, and then an hour that is cut short must not look like a whole one.
So this module looks for the signs of other APIs: links and cursors to a next page, words for "there
is more", totals of records and counts of pages. It looks in ``meta``, beside it in the envelope,
one level down in objects that are named after paging, and in the HTTP head.

What lives here: the names that are looked for, and when one of them is a sign. What does not: links
that are followed (``next_page.py``), failing the window (``client.py``). A sign holds words of
ours and never a name from the reply. Called by ``transport.py`` for the head, as it alone sees it,
by ``reply.py`` and by ``client.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

from returns_orchestration.clickpost.cuts import NotJsonError
from returns_orchestration.clickpost.records import Repeating, plain_json, small_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from returns_orchestration.clickpost.charsets import Bytes

Kind = Literal["link", "more", "whole", "last", "total", "pages", "page"]

MAX_SIGNS: Final = 1_000  # of one reply

_NOUN: Final = "records?|results?|items?|elements?|entries|entry|rows?|hits?|objects?|returns?"
_KINDS: Final[dict[Kind, str]] = {
    "link": (
        "(odata)?next(page|url|link|href|uri|path|token|cursor|marker|key|offset|start|skip|index"
        f"|number|num|no|id|batch|set|from|after|query|continuation|{_NOUN}){{0,3}}"
        "|continuation(token)?|continue(token)|last(evaluated)key"
    ),
    "more": (
        f"(has|have|is|are|there){{0,2}}more(pages?|{_NOUN}|data|available|exist|left){{0,2}}"
        "|has(next|following)(page|link|url|token|cursor|batch)?"
        f"|(has|is|are|was|{_NOUN}){{0,2}}(truncated|partial|incomplete)({_NOUN})?"
        f"|(remaining|pending)(pages?|{_NOUN})|(pages?|{_NOUN})(remaining|left|pending)"
        "|limit(reached|exceeded)"
    ),
    "last": "last(page)(number|num|no|index)?",
    "whole": "(is)?(last|complete|completed|done|finished|final)(page|batch|set)?",
    "total": (
        f"(grand|overall|full)?(total|count)(number|num|of|{_NOUN}|count|total|size|found|matches"
        f"|available){{0,3}}|(overall|full)count|(number|num|no)(of)?({_NOUN}|found|matches)"
        f"|({_NOUN})(total|count|found|filtered)"
    ),
    "pages": ("(total|number|num|no|count)(of)?pages?(count|total)?|pages?(count|total)|pages"),
    "page": "(current)?page(number|num|no|index)?",
}
"""Kind to names, compared without case, ``_``, ``-``; ``whole`` and ``last`` are signs if false."""

_HOLDERS: Final = (
    "(paging|pagination|paginator|pager|page|list|results?|response)?(meta|metadata|info)"
    "|(paging|pagination|pager|page|result)(data|set)"
    "|paging|pagination|paginator|pager|pages?|links?|cursors?|nav|navigation"
)
"""Names of objects in which the names above are looked for."""

_PATTERNS: Final = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS.items())
_HOLDER: Final = re.compile(_HOLDERS)
_SEAM: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")

_NOTHING: Final = frozenset({"", "none", "null", "undefined", "false"})
_TRUE: Final = frozenset({"true", "yes", "y", "t"})
_LINK_REL: Final = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,]+))", re.IGNORECASE)
_RANGE: Final = re.compile(r"\s*(\w+)\s+(?:(\d{1,15})\s*-\s*(\d{1,15})|\*)\s*/\s*(\d{1,15})\s*")
_OF: Final = re.compile(r"\s*\d{1,9}\s*(?:of|/)\s*(\d{1,9})\s*", re.IGNORECASE)
_NUMBER: Final = re.compile(r"(?:[0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3}){1,4})(?:\.0*)?")
_HEAD_PREFIX: Final = re.compile(r"(?:x-)?(?:(?:pagination|paging|page-info)-)?", re.IGNORECASE)
_HEAD: Final = "the HTTP head"
_LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing in a reply that indicates records beyond those it holds.

    - ``kind``: a "link" to a next page; "more" are there; a "total" of records; a count of "pages";
      the number of this "page", which is no sign but the measure of a link
    - ``word``: its name and its place, in words of ours
    - ``value``: a number, or the text of a link; None: present, and not kept
    """

    kind: Kind
    word: str
    value: int | str | None = None


def names_nothing(value: object) -> bool:
    """Whether ``value`` names no next page: null, false, and their names as text."""
    if isinstance(value, str):
        return value.strip().casefold() in _NOTHING
    return value is None or value is False


def signs_in_meta(meta: Mapping[str, object]) -> tuple[Sign, ...]:
    """The signs in ``meta``, apart from ``meta.next``.

    Raises NotJsonError for an object about pages that names a member twice.
    """
    rest = {name: value for name, value in meta.items() if name != "next"}
    return tuple(islice(_signs(rest, "meta"), MAX_SIGNS))


def signs_beside(beside: Mapping[str, Bytes]) -> tuple[Sign, ...]:
    """The signs beside ``meta`` and ``result``, in members by name, as JSON.

    Raises NotJsonError where one that is looked at cannot be read, BeyondBoundsError where it is
    too large.
    """
    found = {
        name: plain_json(small_text(value, word))
        for name, value in beside.items()
        if (word := _word(name))
    }
    return tuple(islice(_signs(found, ""), MAX_SIGNS))


def signs_in_head(head: Iterable[tuple[str, str]]) -> tuple[Sign, ...]:
    """The signs in the HTTP head, in words of ours and numbers: a Link may repeat the key."""
    found: list[Sign] = []
    for name, value in head:
        if name.casefold() == "link":
            rels = [(quoted or bare).strip("'") for quoted, bare in _LINK_REL.findall(value)]
            if any("next" in rel.casefold().split() for rel in rels):
                found.append(Sign("link", f"`Link` in {_HEAD}"))
        elif name.casefold() == "content-range":
            found += _of_range(value)
        else:
            found += _of_header(_HEAD_PREFIX.sub("", name, count=1), value)
    return tuple(Sign(sign.kind, sign.word, _number(sign.value)) for sign in found[:MAX_SIGNS])


def left_out(
    pages: Sequence[Sequence[Sign]], served: int, is_here: Callable[[str], bool]
) -> str | None:
    """A sign that there are more than the ``served`` records of ``pages``, or None.

    ``pages`` holds the signs of each page that was read, in order, at least one; where one led on
    to the next, only its totals count. ``is_here``: whether a link leads to the last page.
    """
    last = pages[-1]
    shown = [sign.value for sign in last if sign.kind == "page" and isinstance(sign.value, int)]
    here = max(shown, default=len(pages))
    for sign in last:
        if sign.kind == "more" or (sign.kind == "link" and _leads_on(sign.value, here, is_here)):
            return sign.word
    most = {"total": served, "pages": len(pages)}
    for sign in (sign for page in pages for sign in page):
        if isinstance(sign.value, int) and sign.value > most.get(sign.kind, sign.value):
            return sign.word
    return None


def _leads_on(value: int | str | None, here: int, is_here: Callable[[str], bool]) -> bool:
    number = _number(value)
    if number is not None:
        return number > here
    return value is None or not is_here(str(value))


def _kind(name: str) -> Kind | None:
    key = _key(name)
    return next((kind for kind, pattern in _PATTERNS if pattern.fullmatch(key)), None)


def _holds(name: str) -> bool:
    """Whether an object of that ``name`` is about pages."""
    return _HOLDER.fullmatch(_key(name)) is not None


def _key(name: str) -> str:
    """``name`` as it is compared: has_more, hasMore and HAS-MORE are one."""
    if len(name) > _LONGEST_NAME or not name.isascii():
        return ""
    return "".join(filter(str.isalnum, name)).casefold()


def _word(name: str) -> str:
    """``name`` in words of ours; "" for a name that is not looked for."""
    if _kind(name) is None and not _holds(name):
        return ""
    return _SEAM.sub("_", name).strip("_").casefold()


def _signs(members: Mapping[str, object], place: str, *, inside: bool = True) -> Iterator[Sign]:
    """The signs among ``members``; ``place``: where they are; ``inside``: look a level down."""
    if isinstance(members, Repeating):
        message = "an object about pages names a member twice"
        raise NotJsonError(message)
    for name, value in members.items():
        kind, holds = _kind(name), inside and _holds(name)
        called = _called(place, _word(name))
        if isinstance(value, dict) and kind == "total":
            value = value.get("value")  # noqa: PLW2901 - {"value": 250, "relation": "eq"}
        if not isinstance(value, (dict, list)):
            yield from _of_value(kind, called, value) if kind else ()
        elif kind == "link":
            yield from _of_link(called, value)
        elif holds and isinstance(value, dict):
            yield from _signs(value, called.strip("`"), inside=False)
        elif holds and isinstance(value, list):
            yield from _of_links(value, called)


def _called(place: str, word: str) -> str:
    if place == _HEAD:
        return f"`{word}` in {_HEAD}"
    return f"`{place}.{word}`" if place else f"`{word}`"


def _of_value(kind: Kind, called: str, value: object) -> Iterator[Sign]:
    number = _number(value)
    text = str(value).strip().casefold()
    if kind == "link":
        if isinstance(value, str) and not names_nothing(value):
            yield Sign(kind, called, value.strip())
        elif number or value is True:
            yield Sign(kind, called, number)
    elif kind == "more":
        if number or text in _TRUE:
            yield Sign("more", called)
    elif kind in ("whole", "last") and text == "false":
        yield Sign("more", called)
    elif number is not None and kind != "whole":
        yield Sign("pages" if kind == "last" else kind, called, number)
    if kind in ("page", "pages") and (of := _OF.fullmatch(text)):
        yield Sign("pages", called, int(of[1]))


def _of_link(called: str, value: dict[str, object] | list[object]) -> Iterator[Sign]:
    """A link as an object, ``{"href": ...}``; an empty one is no sign."""
    inner = list(value.values()) if isinstance(value, dict) else value
    if isinstance(value, dict):
        named = [value[name] for name in ("href", "url", "link", "uri") if name in value]
        inner = named or inner
    if not all(names_nothing(one) for one in inner):
        text = inner[0] if len(inner) == 1 and isinstance(inner[0], str) else None
        yield Sign("link", called, text)


def _of_links(links: list[object], called: str) -> Iterator[Sign]:
    """Links as a list, ``[{"rel": "next", "href": ...}]``."""
    for link in links:
        if isinstance(link, dict) and str(link.get("rel", "")).strip().casefold() == "next":
            yield from _of_link(called, {k: v for k, v in link.items() if k != "rel"})


def _of_range(value: str) -> Iterator[Sign]:
    """``Content-Range: items 0-99/250`` is a total; for bytes it shows whether these are all."""
    found = _RANGE.fullmatch(value)
    if not found:
        return
    unit, first, last, total = found.groups()
    if unit.casefold() != "bytes":
        yield Sign("total", f"`Content-Range` in {_HEAD}", int(total))
    elif first is None or int(first) > 0 or int(last) + 1 < int(total):
        yield Sign("more", f"`Content-Range` in {_HEAD}")


def _of_header(name: str, value: str) -> Iterator[Sign]:
    """A header as a member, or ``X-Pagination: {"TotalCount": 250, ...}``."""
    members: object = {name: value}
    if value.lstrip().startswith("{") and _holds(name):
        try:
            members = plain_json(value)
        except NotJsonError:
            return
    if isinstance(members, dict):
        yield from _signs(dict(members), _HEAD, inside=False)


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return int(float(value.strip().replace(",", "")))
    return None
