"""Realistic records of both shapes that were published, as dicts, with overrides.

Every name, number and address is invented. ``changes`` are merged into the record: an object into
an object, anything else replaces; ``ABSENT`` removes a key.
"""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

Record = dict[str, Any]

ABSENT = object()

_REQUESTED = "2026-11-09T11:00:48.702402Z"

_PICKUP = {
    "customer_name": "Asha Example",
    "customer_email": "asha@example.com",
    "customer_phone_number": "+91 90000 00000",
    "pickup_address": "Flat 7, Invented Road",
    "pickup_pincode": "380015",
    "pickup_city": "Ahmedabad",
    "pickup_state": "Gujarat",
    "pickup_country": "IN",
}

_ASSIGNED: Record = {
    "return_reference_number": "8036651794222048",
    "status": "SUCCESS",
    "Return Request Timestamp": _REQUESTED,
    "cp_id": 25,
    "cp_name": "Delhivery",
    "account_code": "Delhivery_Reverse",
    "return_tracking_id": 506685194,
    "awb": "2667237821710",
    "timestamp": "2026-11-09T11:00:50.143090Z",
    "refund_mode": "Back to source",
    "source": "Returns Page",
    "webhook_payload": {
        "waybill": "2667237821710",
        "cp_id": 25,
        "status": "Return Order Placed",
        "location": "Stark Tower, Navrangpura, Ahmedabad, 380015",
        "clickpost_status_code": 101,
        "notification_event": 11,
        "clickpost_status_description": "Return Order Placed",
        "clickpost_status_bucket": 8,
        "clickpost_status_bucket_description": "Return Order Placed",
        "timestamp": _REQUESTED,
        "remark": "Return Order Placed",
        "account_code": "Delhivery_Reverse",
        "additional": {
            "latest_status": {
                "location": "",
                "remark": "Return Order Placed",
                "clickpost_status_code": 101,
                "clickpost_status_description": "Return Order Placed",
                "clickpost_status_bucket": 8,
                "clickpost_status_bucket_description": "Return Order Placed",
                "timestamp": _REQUESTED,
                "status": "Return Order Placed",
            },
            "is_rvp": True,
            "forward_awb": "1234567890123",
            "forward_reference_number": "2290664",
            "forward_order_id": "103887038",
            "notification_event_id": 11,
            "self_shipped": False,
            "item_info": [
                {
                    "sku": "4060981731573",
                    "quantity": 1,
                    "return_reason": "Other Reason",
                    "refund_mode": "Back to source",
                }
            ],
            "return_reference_number": "8036651794222048",
        },
    },
}

_NEW_CASE: Record = {
    "return_reference_number": "RE58231794222055",
    "status": "NEW_CASE",
    "Return Request Timestamp": "2026-11-09T11:00:55Z",
    "cp_id": None,
    "cp_name": None,
    "account_code": None,
    "return_tracking_id": None,
    "awb": None,
    "timestamp": None,
    "refund_mode": "Credits",
    "source": "API",
    "webhook_payload": {
        "waybill": "",
        "cp_id": -1,
        "status": "Return Request Placed",
        "location": "",
        "clickpost_status_code": 101,
        "notification_event": 11,
        "clickpost_status_description": "Return Request Placed",
        "clickpost_status_bucket": 8,
        "clickpost_status_bucket_description": "Return placed / approved",
        "timestamp": "2026-12-08T11:00:55Z",
        "remark": "Return Request Placed",
        "account_code": "",
        "return_reference_number": "RE58231794222055",
        "customer_name": "Asha Example",
        "request_placed_time": "2026-11-09T11:00:55Z",
        "pickup_info": _PICKUP,
    },
    "additional": {
        "is_rvp": True,
        "forward_awb": "1234567890124",
        "forward_reference_number": "2290665",
        "forward_order_id": "103887039",
        "notification_event_id": 11,
        "self_shipped": False,
        "source": "API",
        "drop_store_id": "S-1",
        "return_pickup_phone_number": "+91 90000 00000",
        "return_pickup_address": "Flat 7, Invented Road",
        "return_phone_number": "+91 90000 00001",
        "return_address": "Warehouse 3, Invented Lane",
        "latest_status": {},
        "item_info": [
            {
                "id": 991,
                "sku": "SHIRT-M",
                "quantity": 2,
                "return_reason": "Product is not as expected ",
                "refund_mode": "Credits",
                "return_mode": "REFUND",
                "description": "Blue shirt",
                "return_sub_reason": None,
                "customer_comment": "",
                "images": "https://images.example.com/1.jpg",
                "customer_uploaded_images": [],
                "shopify_line_item_id": 77,
            }
        ],
    },
}


def _merged(base: Record, changes: Record) -> Record:
    merged = dict(base)
    for key, value in changes.items():
        if value is ABSENT:
            merged.pop(key, None)
        elif isinstance(value, dict) and value and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged


def assigned(changes: Record | None = None, **more: Any) -> Record:
    """The shape of 2022: a courier and an AWB; ``additional`` inside webhook_payload."""
    return _merged(deepcopy(_ASSIGNED), {**(changes or {}), **more})


def new_case(changes: Record | None = None, **more: Any) -> Record:
    """The shape of 2025: no courier yet; ``additional`` in the record, undocumented keys."""
    return _merged(deepcopy(_NEW_CASE), {**(changes or {}), **more})


def with_additional(additional: Any, base: Record | None = None) -> Record:
    """An assigned record with other content in ``additional``."""
    return _merged(base or assigned(), {"webhook_payload": {"additional": additional}})


def with_items(item_info: Any) -> Record:
    """An assigned record with other content in ``item_info``."""
    return with_additional({"item_info": item_info})


def item(sku: str = "S", **changes: Any) -> Record:
    """One item as documented."""
    return {
        "sku": sku,
        "quantity": 1,
        "return_reason": "Size Issue",
        "refund_mode": "UPI",
    } | changes


def returned(reference: str, requested: datetime, **changes: Any) -> Record:
    """An assigned record of another return, requested at another time."""
    text = wire_time(requested)
    return assigned(
        {"return_reference_number": reference, "Return Request Timestamp": text}, **changes
    )


def wire_time(moment: datetime) -> str:
    """A time as the API writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def on_the_wire(record: Any) -> str:
    """The JSON text of a record."""
    return json.dumps(record, ensure_ascii=False)


def at(hour: int, minute: int = 0, second: float = 0) -> datetime:
    """A moment of 9 November 2026, the day of all records here; ``hour`` may pass 23."""
    return datetime(2026, 11, 9, tzinfo=UTC) + timedelta(hours=hour, minutes=minute, seconds=second)
