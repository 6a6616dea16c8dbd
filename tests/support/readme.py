"""What the README shows of alerts, made from the code: `python -m support.readme` writes it anew.

A block stands between two comments, `<!-- NAME -->` and `<!-- end of NAME -->`; a test holds that
each is as the code makes it.
"""

from __future__ import annotations

import re
from pathlib import Path

from alerts.test_kinds import AUTHOR, FREQUENT, SAMPLES

from returns_orchestration.alerts.kinds import KINDS, Reason
from returns_orchestration.alerts.outbox import Message

README = Path(__file__).parents[2] / "README.md"


def blocks() -> dict[str, str]:
    """Each block by its name."""
    first = [AUTHOR.opened(SAMPLES[0]), AUTHOR.resolved(SAMPLES[0])]
    opened = [AUTHOR.opened(sample) for sample in SAMPLES]
    return {
        "frequent messages": _shown([*first, *opened[1:FREQUENT]]),
        "other messages": _shown(opened[FREQUENT:]),
        "kinds of incidents": _kinds(),
        "reasons for silence": _reasons(),
    }


def current(text: str) -> str:
    """``text`` with every block as the code makes it."""
    for name, block in blocks().items():
        whole = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text, found = whole.subn(lambda match, block=block: match[1] + block + match[2], text)
        if found != 1:
            message = f"{README.name} has {found} blocks called {name}"
            raise ValueError(message)
    return text


def _shown(messages: list[Message]) -> str:
    text = "\n\n".join(f"{message.title}\n{message.text}" for message in messages)
    return f"```text\n{text}\n```\n"


def _kinds() -> str:
    lines = ["| kind | severity | inhibited by | open while |", "|---|---|---|---|"]
    for kind in KINDS.values():
        inhibitors = ", ".join(other.name for other in kind.inhibited_by)
        doc = " ".join((kind.__doc__ or "").split("\n\n", maxsplit=1)[0].split())
        lines.append(f"| {kind.name} | {kind.usual_severity} | {inhibitors} | {doc} |")
    return "\n".join(lines) + "\n"


def _reasons() -> str:
    shown = [
        f"`{reason} ...`" if reason is Reason.INHIBITED else f"`{reason}`" for reason in Reason
    ]
    return f"  {', '.join(shown)}.\n  "


if __name__ == "__main__":
    README.write_text(current(README.read_text()))
