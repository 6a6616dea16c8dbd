"""The odd records, by name: each was seen in the vendor's data or is plausible from it.

An oddity may change the true values (`truth`, before a record is made), how they are written
(`spelling`, on the finished record), or how its times are spelled. The functions themselves are
in `oddity_truths` and `oddity_spellings`; this file is the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from returns_orchestration.simulator import oddity_spellings as spellings
from returns_orchestration.simulator import oddity_truths as truths

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.simulator.contents import Contents
    from returns_orchestration.simulator.moments import TimeStyle


def _as_it_is(_subject: Contents | dict[str, Any], _salt: int) -> None:
    """Change nothing."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """One oddity. The salt chooses among its variants."""

    about: str
    truth: Callable[[Contents, int], None] = _as_it_is
    spelling: Callable[[dict[str, Any], int], None] = _as_it_is
    time_style: TimeStyle = "zulu"
    twice: bool = False

    @property
    def whole_seconds(self) -> bool:
        """Whether its times have no fraction, so that the true ones must have none either."""
        return self.time_style in {"whole", "epoch"}


PLAIN = Oddity("nothing strange")

ODDITIES: dict[str, Oddity] = {
    # the record
    "account-absent": Oddity("no account_code at either level", spelling=spellings.no_account),
    "source-absent": Oddity("no source", truths.no_source, spellings.no_source),
    "none-text": Oddity("None as text", truths.nothing_chosen, spellings.none_text),
    "numbers-as-text": Oddity("ids and codes as text", spelling=spellings.numbers_as_text),
    "flags-as-text": Oddity("booleans as text", spelling=spellings.flags_as_text),
    "padded-text": Oddity("blanks around and inside text", truths.padded),
    "wild-text": Oddity("emoji, line breaks, formulas", truths.wild_text),
    "unknown-key": Oddity("keys that nobody documented", spelling=spellings.unknown_keys),
    "twice": Oddity("the return twice in one reply, the later copy richer", twice=True),
    # its times
    "naive-times": Oddity("a space and no zone", time_style="naive"),
    "offset-times": Oddity("+05:30 instead of Z", time_style="offset"),
    "whole-second-times": Oddity("no fraction", time_style="whole"),
    "epoch-times": Oddity("Unix seconds as numbers", time_style="epoch"),
    "unreadable-timestamp": Oddity("`timestamp` is no time", spelling=spellings.no_timestamp),
    "future-scan": Oddity("a status from years ahead", spelling=spellings.future_scan),
    # its statuses
    "bucket-number": Oddity("the bucket's description is 22", spelling=spellings.bucket_number),
    "status-drift": Oddity("another status text", spelling=spellings.status_drift),
    "unknown-code": Oddity("a status code outside the list", spelling=spellings.unknown_code),
    "empty-objects": Oddity("{} for latest_status, pickup_info", spelling=spellings.empty_objects),
    # its payload
    "payload-as-text": Oddity("webhook_payload is a JSON text", spelling=spellings.payload_text),
    "payload-wrapped": Oddity("payload and internal around it", spelling=spellings.payload_wrapped),
    "payload-null": Oddity("no webhook_payload", truths.hide_items, spellings.payload_null),
    "additional-null": Oddity("additional is null", truths.hide_items, spellings.additional_null),
    "additional-list": Oddity("additional is []", truths.hide_items, spellings.additional_list),
    # its items
    "items-null": Oddity("item_info null or absent", truths.hide_items, spellings.items_null),
    "item-as-object": Oddity("one item without its list", truths.one_item, spellings.item_object),
    "item-bare": Oddity("an item without reason and mode", truths.bare_item, spellings.bare_item),
    "item-twice": Oddity("the same SKU on two items", truths.same_sku),
    "images-as-text": Oddity("images is one URL", spelling=spellings.images_as_text),
    "quantity-text": Oddity('quantity "1"', spelling=spellings.quantity_text),
    "quantity-float": Oddity("quantity 2.0", truths.quantity_two, spellings.quantity_float),
    "quantity-null": Oddity("quantity null", truths.quantity_unknown),
    "quantity-zero": Oddity("quantity 0", truths.quantity_zero),
}
ODDITY_NAMES: tuple[str, ...] = tuple(ODDITIES)
