"""The invented stock from which returns are made: people, places, products, reasons, couriers.

All of it is visibly fictitious: reserved example domains, phone numbers that no network assigns,
streets that no map has. Weighted choices are tuples in which an entry occurs as often as its
weight.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Place(NamedTuple):
    """A town, its state and a postal code in the army post range, which no household has."""

    city: str
    state: str
    pincode: str


class Courier(NamedTuple):
    """A carrier partner as the API names it, and the merchant's account with it."""

    cp_id: int
    name: str
    account: str


class Product(NamedTuple):
    """What is sold: the beginning of its SKU and its description."""

    sku: str
    description: str


def _weighted(*entries: tuple[T, int]) -> tuple[T, ...]:
    return tuple(chain.from_iterable(repeat(entry, weight) for entry, weight in entries))


FIRST_NAMES = (
    "Aarini",
    "Bhavik",
    "Chitral",
    "Devansh",
    "Esharika",
    "Farzin",
    "Gauranti",
    "Hridan",
    "Ilavya",
    "Jashit",
    "Kavindra",
    "Laranya",
    "Mehrunisha",
    "Navroop",
    "Ojaswin",
    "Pranvita",
    "Rudresh",
    "Samaira",
    "Tanishtha",
    "Uditraj",
    "Vihanti",
    "Yashvik",
)
LAST_NAMES = (
    "Abhorkar",
    "Banerwal",
    "Chandekar",
    "Dravinder",
    "Ghoshani",
    "Iyengarh",
    "Jadhavan",
    "Kapurani",
    "Lokhandi",
    "Mukherwal",
    "Nambodri",
    "Patelkar",
    "Raghuvansi",
    "Shettigar",
    "Trivedhi",
    "Upadhyan",
    "Vermani",
    "Wadekhar",
)
STREETS = (
    "Placeholder Marg",
    "Invented Lane, behind Sample Park",
    "Nowhere Road, opposite Imaginary Lake",
    "Example Cross, 4th Main",
    "Fiction Nagar, near Dummy Chowk",
    "Test Towers, Specimen Street",
)
PLACES = (
    Place("Ahmedabad", "Gujarat", "990015"),
    Place("Bengaluru", "Karnataka", "990034"),
    Place("Chennai", "Tamil Nadu", "990017"),
    Place("Guwahati", "Assam", "990001"),
    Place("Hyderabad", "Telangana", "990081"),
    Place("Jaipur", "Rajasthan", "990012"),
    Place("Kochi", "Kerala", "990020"),
    Place("Lucknow", "Uttar Pradesh", "990010"),
    Place("Mumbai", "Maharashtra", "990050"),
    Place("Pune", "Maharashtra", "990038"),
)
PRODUCTS = (
    Product("40609817", "Cotton kurta, indigo block print"),
    Product("40612250", "Running shoes, graphite"),
    Product("89013370", "Linen shirt, ecru"),
    Product("89042416", "Denim jacket, mid wash"),
    Product("77120058", "Silk dupatta, marigold"),
    Product("77124901", "Leather sandals, tan"),
    Product("36522871", "Wireless earphones, slate"),
    Product("36530019", "Steel water bottle, 750 ml"),
)
COURIERS = _weighted(
    (Courier(25, "Delhivery", "Delhivery_Reverse"), 45),
    (Courier(28, "Bluedart Reverse", "Bluedart_Rvp"), 15),
    (Courier(41, "XpressBees Reverse", "Xpressbees_Reverse"), 20),
    (Courier(11, "Shadowfax Reverse", "shadowfax_rev_2"), 12),
    (Courier(24, "Ecom Express Reverse", "Ecom_Reverse"), 8),
)
REASONS = _weighted(
    ("Size Issue", 22),
    ("Size too small", 16),
    ("Size too large", 12),
    ("Product is not as expected ", 14),  # the blank at its end is as received
    ("Quality not good", 10),
    ("Other Reason", 8),
    ("Changed my mind", 7),
    ("Defective or damaged", 6),
    ("Wrong item delivered ", 5),
)
SUB_REASONS: tuple[str | None, ...] = (None, None, "Too tight at shoulders", "Colour differs", "")
COMMENTS = (
    "",
    "",
    "Please collect after six in the evening",
    "Ordered two sizes to compare, keeping the other one",
    "Box was open when it came",
)
REFUND_MODES: tuple[str | None, ...] = _weighted(
    ("Back to source", 52),
    ("Credits", 16),
    ("Store Credit", 8),
    ("UPI", 7),
    ("Bank Transfer", 5),
    ("Exchange", 4),
    ("Wallet", 2),
    ("Gift Card", 2),
    (None, 4),
)
SOURCES: tuple[str | None, ...] = _weighted(("Returns Page", 62), ("API", 33), (None, 5))
