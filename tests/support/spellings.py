"""Ways to echo a value without writing it: encoded, in pieces, reversed; and personal data.

Used where the API repeats the request: by the tests of quoted text, and by the proof that no secret
is shown.
"""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda text: quote(text, safe=""),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent with plus": quote_plus,
    "every character as percent": lambda text: "".join(f"%{b:02X}" for b in text.encode()),
    "decimal references": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "hexadecimal references": lambda text: "".join(f"&#x{ord(c):x};" for c in text),
    "JSON escapes": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "codes": lambda text: ", ".join(str(ord(c)) for c in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 without padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 of user and key": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "HEX with colons": lambda text: text.encode().hex(":").upper(),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "upper case": str.upper,
    "lower case": str.lower,
    "swapped case": str.swapcase,
    "reversed": lambda text: text[::-1],
    "a newline within": lambda text: f"{text[:7]}\n{text[7:]}",
    "a zero-width space within": lambda text: f"{text[:7]}\u200b{text[7:]}",
    "a blank within": lambda text: f"{text[:7]} {text[7:]}",
    "a dash within": lambda text: f"{text[:7]}-{text[7:]}",
    "halves": lambda text: f"{text[: len(text) // 2]} and {text[len(text) // 2 :]}",
    "a list of pieces": lambda text: str([text[at : at + 4] for at in range(0, len(text), 4)]),
    "letters": " ".join,
    "letters with dots": ".".join,
    "its beginning": lambda text: text[: len(text) * 2 // 3],
    "its end": lambda text: text[len(text) // 3 :],
}
"""Each takes a value and gives the text that a message may hold instead of it."""

PERSONAL = {
    "telephone with a dash": ("98765-43210", "98765", "43210"),
    "telephone with a country": ("+91-98765-43210", "98765", "43210", "91"),
    "telephone of a town": ("(022) 2654.1234", "022", "2654", "1234"),
    "telephone in threes": ("987 654 3210", "987", "654", "3210"),
    "telephone in fours": ("9876/5432/10", "9876", "5432"),
    "mail": ("jo.doe+x@mail.example", "doe", "mail", "example"),
    "mail with its sign encoded": ("ravi%40example.com", "ravi", "example"),
    "mail with blanks": ("ravi @ example.com", "ravi", "example"),
    "mail in words": ("ravi (at) example (dot) com", "ravi", "example"),
    "address": ("Flat 12, 4th Cross, MG Road, Pune 411001", "12", "Cross", "MG", "Road", "Pune"),
    "name": ("Ravi Kumar d'Souza", "Ravi", "Kumar", "Souza"),
    "name of another script": ("रवि कुमार", "रवि", "कुमार"),
    "picture": ("https://cdn.example/p/ab12.jpg", "cdn", "example", "ab12", "jpg"),
}
"""Data that identifies a person, and its pieces, none of which a message may hold."""
