"""One record of a reply: the JSON object the API would show for a piece of a return at a moment.

Two shapes, as seen: with a courier (status SUCCESS) and before one (NEW_CASE, nulls, and -1 and
"" inside the webhook payload). Keys and nesting follow the vendor's page, plus the undocumented
keys seen in traffic.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeAlias

from returns_orchestration.simulator.lifecycle import step_at
from returns_orchestration.simulator.moments import Micros, spell
from returns_orchestration.simulator.oddities import ODDITIES, PLAIN
from returns_orchestration.simulator.planning import PIECE_GAP

if TYPE_CHECKING:
    from datetime import tzinfo

    from returns_orchestration.simulator.contents import Contents, Item
    from returns_orchestration.simulator.planning import PlannedReturn

Record: TypeAlias = dict[str, Any]

_NO_REFERENCE: tuple[str | None, ...] = (None, "", "None")
_NO_TIME: tuple[str | None, ...] = (None, "yesterday evening", "0000-00-00T00:00:00Z")


def piece_count(planned: PlannedReturn, at: Micros) -> int:
    """How many pieces show at that moment: pieces are known once they have their AWBs."""
    return planned.pieces if planned.assigned(at) else 1


def awb_number(planned: PlannedReturn, piece: int) -> str:
    """The piece's AWB number: 13 digits, unique."""
    return f"2{planned.number + piece:012d}"


def records_of(  # noqa: PLR0913 - the facts a record depends on
    planned: PlannedReturn,
    contents: Contents,
    piece: int,
    at: Micros,
    zone: tzinfo,
    *,
    progress: bool,
) -> list[Record]:
    """What the API shows for one piece: one record, or two where the return is served twice."""
    oddity = ODDITIES[planned.oddity] if planned.oddity else PLAIN
    record = _record(planned, contents, piece, at, zone, progress=progress)
    if planned.unusable:
        _spoil(record, planned)
    if oddity.twice:
        return [_poorer(record), record]
    oddity.spelling(record, planned.salt)
    return [record]


def _record(  # noqa: PLR0913 - the facts a record depends on
    planned: PlannedReturn,
    contents: Contents,
    piece: int,
    at: Micros,
    zone: tzinfo,
    *,
    progress: bool,
) -> Record:
    style = ODDITIES[planned.oddity].time_style if planned.oddity else "zulu"
    requested = spell(planned.requested, zone, style)
    assigned = planned.assigned(at)
    pieces = piece_count(planned, at)
    step, begun = step_at(planned, at, progress=progress)
    begun_text = requested if begun == planned.requested else spell(begun, zone, style)
    courier, place = contents.courier, contents.place
    number = planned.number + piece
    awb = awb_number(planned, piece) if assigned else None
    awb_at = None
    if assigned and planned.awb is not None:
        awb_at = spell(planned.awb + piece * PIECE_GAP, zone, style)
    address = f"{contents.street}, {place.city}, {place.pincode}"
    items = contents.shown_items(piece, pieces, own=planned.own_items)
    status: Record = {
        "location": "",
        "remark": step.text,
        "clickpost_status_code": step.code,
        "clickpost_status_description": step.text,
        "clickpost_status_bucket": step.bucket,
        "clickpost_status_bucket_description": step.text,
        "timestamp": begun_text,
        "status": step.text,
    }
    additional: Record = {
        "latest_status": status,
        "is_rvp": True,
        "forward_awb": contents.forward_awb,
        "forward_reference_number": contents.forward_reference,
        "forward_order_id": contents.order_id,
        "notification_event_id": step.event,
        "self_shipped": contents.self_shipped,
        "source": contents.source,
        **({} if contents.brief else _contacts(contents, address)),
        "item_info": [_item(item, brief=contents.brief) for item in items],
        "return_reference_number": planned.reference,
    }
    payload: Record = {
        "waybill": awb or "",
        "cp_id": courier.cp_id if assigned else -1,
        **status,
        "location": address,
        "notification_event": step.event,
        "account_code": courier.account if assigned else "",
        "additional": additional,
    }
    if not contents.brief:
        payload["return_reference_number"] = planned.reference
        payload["request_placed_time"] = requested
        payload.update(_customer(contents))
    return {
        "return_reference_number": planned.reference,
        "status": "SUCCESS" if assigned else "NEW_CASE",
        "Return Request Timestamp": requested,
        "cp_id": courier.cp_id if assigned else None,
        "cp_name": courier.name if assigned else None,
        "account_code": courier.account if assigned else None,
        "return_tracking_id": number if assigned else None,
        "awb": awb,
        "timestamp": awb_at,
        "refund_mode": contents.refund_mode,
        "source": contents.source,
        "webhook_payload": payload,
    }


def _contacts(contents: Contents, address: str) -> Record:
    """Undocumented keys of additional: personal data."""
    return {
        "drop_store_id": None,
        "return_pickup_phone_number": contents.phone,
        "return_pickup_address": address,
        "return_phone_number": "+91-00000-00000",
        "return_address": "Returns Desk, Warehouse 0, Sample Estate, 990099",
    }


def _customer(contents: Contents) -> Record:
    """Undocumented keys of the payload: personal data."""
    place = contents.place
    return {
        "customer_name": contents.person,
        "pickup_info": {
            "customer_name": contents.person,
            "customer_email": contents.email,
            "customer_phone_number": contents.phone,
            "pickup_address": contents.street,
            "pickup_pincode": place.pincode,
            "pickup_city": place.city,
            "pickup_state": place.state,
            "pickup_country": "IN",
        },
    }


def _item(item: Item, *, brief: bool) -> Record:
    shown: Record = {
        "sku": item.sku,
        "quantity": item.quantity,
        "return_reason": item.reason,
        "refund_mode": item.refund_mode,
    }
    if brief:
        return shown
    return {
        "id": item.number,
        **shown,
        "return_mode": item.return_mode,
        "description": item.description,
        "return_sub_reason": item.sub_reason,
        "customer_comment": item.comment,
        "images": item.images,
        "customer_uploaded_images": item.images,
        "shopify_line_item_id": item.line_item,
    }


def _spoil(record: Record, planned: PlannedReturn) -> None:
    """Make the record unusable: no reference anywhere, or no request time."""
    payload = record["webhook_payload"]
    if planned.unusable == "no-reference":
        nothing = _NO_REFERENCE[planned.salt % len(_NO_REFERENCE)]
        for holder in (record, payload, payload["additional"]):
            holder["return_reference_number"] = nothing
    else:
        record["Return Request Timestamp"] = _NO_TIME[planned.salt % len(_NO_TIME)]
        payload["request_placed_time"] = None


def _poorer(record: Record) -> Record:
    """An earlier copy of the same record: no courier yet, and fields not filled in."""
    copy = deepcopy(record)
    for key in ("cp_id", "cp_name", "account_code", "return_tracking_id", "awb", "timestamp"):
        copy[key] = None
    copy["status"] = "NEW_CASE"
    copy["refund_mode"] = copy["source"] = None
    copy["webhook_payload"].update({"waybill": "", "cp_id": -1, "account_code": ""})
    return copy
