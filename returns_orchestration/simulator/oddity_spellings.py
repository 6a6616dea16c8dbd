"""What oddities do to a finished record: same facts, strangely written.

Each takes the record, which it changes in place, and the return's salt, which chooses among
variants.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

Record: TypeAlias = dict[str, Any]

_NO_TIMES = ("0000-00-00 00:00:00", "soon", "", 17)
_DRIFTED = ("Return Request Placed", "O", "777", "return_order_placed")
_UNKNOWN_CODES = (43, 44, 45, 46, 47, 48, 50, 52, 1005, 1006)
_ALIKE_KEYS = ("sku", "quantity")


def _payload(record: Record) -> Record:
    payload: Record = record["webhook_payload"]
    return payload


def _additional(record: Record) -> Record:
    additional: Record = record["webhook_payload"]["additional"]
    return additional


def _items(record: Record) -> list[Record]:
    items: list[Record] = _additional(record)["item_info"]
    return items


def no_account(record: Record, _salt: int) -> None:
    """account_code is missing in the record and in the payload."""
    del record["account_code"], _payload(record)["account_code"]


def no_source(record: Record, _salt: int) -> None:
    """Source is missing in the record and in additional."""
    del record["source"], _additional(record)["source"]


def none_text(record: Record, _salt: int) -> None:
    """The text None for unknown values."""
    record["refund_mode"] = record["source"] = _additional(record)["source"] = "None"
    _additional(record)["drop_store_id"] = "None"


def numbers_as_text(record: Record, _salt: int) -> None:
    """Ids and codes as text, as far as they are known."""
    payload, additional = _payload(record), _additional(record)
    for holder, keys in (
        (record, ("cp_id", "return_tracking_id")),
        (payload, ("cp_id", "clickpost_status_code", "notification_event")),
        (payload, ("clickpost_status_bucket",)),
        (additional, ("notification_event_id",)),
        (additional["latest_status"], ("clickpost_status_code", "clickpost_status_bucket")),
    ):
        for key in keys:
            holder[key] = None if holder[key] is None else str(holder[key])


def flags_as_text(record: Record, salt: int) -> None:
    """Booleans as text, capitalised or not."""
    additional = _additional(record)
    for key in ("is_rvp", "self_shipped"):
        text = str(additional[key])
        additional[key] = text if salt % 2 else text.lower()


def unknown_keys(record: Record, _salt: int) -> None:
    """New keys at every level, plain and nested."""
    record["zz_experiment"] = {"arm": "b", "since": [2025, 7]}
    _payload(record)["zz_courier_edd"] = None
    _additional(record)["zz_tags"] = ["fragile", {"level": 2}]
    for item in _items(record):
        item["zz_mrp"] = 1_999.5


def no_timestamp(record: Record, salt: int) -> None:
    """`timestamp` holds something that is not a time."""
    record["timestamp"] = _NO_TIMES[salt % len(_NO_TIMES)]


def future_scan(record: Record, _salt: int) -> None:
    """The latest status is from the far future."""
    _payload(record)["timestamp"] = "2099-12-31T23:59:59.999999Z"
    _additional(record)["latest_status"]["timestamp"] = "2099-12-31T23:59:59.999999Z"


def bucket_number(record: Record, _salt: int) -> None:
    """The bucket's description is the number 22."""
    _payload(record)["clickpost_status_bucket_description"] = 22
    _additional(record)["latest_status"]["clickpost_status_bucket_description"] = 22


def status_drift(record: Record, salt: int) -> None:
    """The payload's status in other words, or as a courier's code."""
    drifted = _DRIFTED[salt % len(_DRIFTED)]
    _payload(record)["status"] = _additional(record)["latest_status"]["status"] = drifted


def unknown_code(record: Record, salt: int) -> None:
    """A status code that the vendor's list does not have."""
    code = _UNKNOWN_CODES[salt % len(_UNKNOWN_CODES)]
    _payload(record)["clickpost_status_code"] = code
    _additional(record)["latest_status"]["clickpost_status_code"] = code


def empty_objects(record: Record, _salt: int) -> None:
    """Objects without a key."""
    _additional(record)["latest_status"] = {}
    _payload(record)["pickup_info"] = {}


def payload_text(record: Record, _salt: int) -> None:
    """webhook_payload as a text that holds JSON."""
    record["webhook_payload"] = msgspec.json.encode(record["webhook_payload"]).decode()


def payload_wrapped(record: Record, _salt: int) -> None:
    """webhook_payload as a delivery log would hold it."""
    record["webhook_payload"] = {
        "payload": record["webhook_payload"],
        "internal": {
            "tracking_id": record["return_tracking_id"],
            "key": "None",
            "url": "None",
            "notification_event": _payload(record)["notification_event"],
            "is_custom": True,
        },
    }


def payload_null(record: Record, _salt: int) -> None:
    """No webhook_payload."""
    record["webhook_payload"] = None


def additional_null(record: Record, _salt: int) -> None:
    """No additional."""
    _payload(record)["additional"] = None


def additional_list(record: Record, _salt: int) -> None:
    """Additional is an empty list."""
    _payload(record)["additional"] = []


def items_null(record: Record, salt: int) -> None:
    """item_info is null, or not there."""
    if salt % 2:
        _additional(record)["item_info"] = None
    else:
        del _additional(record)["item_info"]


def item_object(record: Record, _salt: int) -> None:
    """item_info is its only item."""
    _additional(record)["item_info"] = _items(record)[0]


def bare_item(record: Record, salt: int) -> None:
    """The first item lacks the keys of reason and refund mode; sometimes all but SKU, quantity."""
    items = _items(record)
    if salt % 2:
        items[0] = {key: items[0][key] for key in _ALIKE_KEYS}
    else:
        del items[0]["return_reason"], items[0]["refund_mode"]


def images_as_text(record: Record, _salt: int) -> None:
    """Images as one URL."""
    for item in _items(record):
        item["images"] = "https://photos.example.com/returns/single.jpg"


def quantity_text(record: Record, _salt: int) -> None:
    """Quantity as text."""
    for item in _items(record):
        item["quantity"] = str(item["quantity"])


def quantity_float(record: Record, _salt: int) -> None:
    """Quantity with a decimal point."""
    for item in _items(record):
        item["quantity"] = float(item["quantity"])
