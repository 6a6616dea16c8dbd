"""The known words of the API: keys, codes, modes. Unknown words are kept, and reported.

Facts: the vendor's page and the records and lists seen (see docs/reference/clickpost-api.md).
An unknown word does not make a record fail; ``state/`` turns it into a warning by name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

STATUS_CODES: Final = frozenset({*range(1, 22), 23, 25, 26, 27, 28, 30, 31, 32, 101, 102, 1004})
"""clickpost_status_code values whose meaning is known; others exist."""

REFUND_MODES: Final = (
    "Back to source",
    "Credits",
    "Store Credit",
    "Store Credits",
    "Bank Transfer",
    "UPI",
    "Wallet",
    "Gift Card",
    "Exchange",
)
"""refund_mode values seen or plausible, as they are spelled."""

_MODES: Final = {mode.casefold(): mode for mode in REFUND_MODES}


def spelled_mode(mode: str) -> str:
    """A refund mode, in the known spelling where it differs from that only in case."""
    return _MODES.get(mode.casefold(), mode)


STATES: Final = {
    "placed": (101,),
    "approved": (102,),
    "courier assigned": (1, 2, 3, 25, 28),
    "picked up": (4,),
    "on its way": (5, 6, 7, 9, 18, 19, 20, 1004),
    "received": (8,),
    "cancelled": (10,),
    "lost": (16,),
    "damaged": (17,),
    "expired": (23,),
    "exchange": (30, 31, 32),
}
"""The states of a return, each with its codes."""

REJECTED, OTHER = "rejected", "other"
REJECTED_EVENT: Final = 23
"""ClickPost has no code for a return that was rejected, only this event."""

ENDED: Final = ("received", "cancelled", "lost", "damaged", "expired", REJECTED)
"""States after which nothing more comes."""

_STATES: Final = {code: state for state, codes in STATES.items() for code in codes}


def state_of(code: int | None, event: int | None) -> str | None:
    """The state that a code and its event mean; None for no code."""
    if event == REJECTED_EVENT:
        return REJECTED
    return None if code is None else _STATES.get(code, OTHER)


_SEEN_IN_WEBHOOK = (
    "return_reference_number customer_name request_placed_time pickup_info additional payload "
    "internal item_info latest_status is_rvp forward_awb forward_reference_number "
    "forward_order_id notification_event_id self_shipped"
)
_SEEN_IN_ADDITIONAL = (
    "source return_pickup_phone_number return_pickup_address return_phone_number "
    "return_address item_info latest_status"
)
_SEEN_IN_ITEM = "customer_comment images return_reference_number"


def _known(place: str, also: str) -> frozenset[str]:
    columns = (*tables.RETURNS.columns, *tables.RETURN_ITEMS.columns)
    return frozenset({c.key for c in columns if c.place == place} | set(also.split()))


KEYS: Final = {
    tables.RECORD: _known(
        tables.RECORD, "webhook_payload additional item_info latest_status " + _SEEN_IN_WEBHOOK
    ),
    tables.WEBHOOK: _known(tables.WEBHOOK, _SEEN_IN_WEBHOOK),
    tables.ADDITIONAL: _known(tables.ADDITIONAL, _SEEN_IN_ADDITIONAL),
    tables.LATEST: _known(tables.LATEST, ""),
    tables.ITEM: _known(tables.ITEM, _SEEN_IN_ITEM),
}
"""Place to the keys documented or seen there."""

IDENTIFIER = re.compile(r"(?=.{1,40}$)(?!(.*[0-9]){5})[A-Za-z_][A-Za-z0-9_]*")
"""An identifier as programmers write it: no blank, as between a person's names, and few digits."""


def new_keys(places: Iterable[tuple[str, object]], untold: Collection[str] = ()) -> frozenset[str]:
    """Keys that are neither documented nor seen, as ``place.key``.

    A key that is no identifier could itself be personal data, such as a name, an address or a
    telephone number, so it is reported as ``place.(unusual name)``; also one that holds a word of
    ``untold``, in lower case.
    """
    found: set[str] = set()
    for place, content in places:
        if isinstance(content, dict):
            for key in content.keys() - KEYS[place]:
                is_shown = IDENTIFIER.fullmatch(key) and not any(
                    word in key.casefold() for word in untold
                )
                found.add(f"{place}.{key if is_shown else '(unusual name)'}")
    return frozenset(found)
