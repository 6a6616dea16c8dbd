"""A failure path in which the API echoes the request, in every spelling.

Each refusal repeats key and user name in one spelling, and a person's address or telephone number.
"""

from __future__ import annotations

import json

from proof.scene import FROM, TO, Scene
from proof.serving import serving
from support.spellings import PERSONAL, SPELLINGS

DISTINCTIVE = 8
"""Length of a spelling's piece that no other text holds by chance."""


def told_back(scene: Scene) -> None:
    """Every spelling in this process, and one of them by command and in Dagster's log."""
    spelled = {
        SPELLINGS[name](token)
        for name in SPELLINGS
        for secret in (scene.key, scene.user_name)
        for token in secret.tokens
    }
    scene.secrets |= {piece for piece in spelled if len(piece) >= DISTINCTIVE}
    scene.personal |= {written[0] for written in PERSONAL.values()}
    with serving() as server:
        scene.world.variables["CLICKPOST_BASE_URL"] = server.base_url
        for name in SPELLINGS:
            server.body = _refusal(scene, name)
            scene.pipeline()
        server.body = _refusal(scene, scene.dice.choice(sorted(SPELLINGS)))
        scene.each(("backfill", FROM, TO), ("doctor",), ("status", FROM, TO))
        scene.materialize()


def _refusal(scene: Scene, name: str) -> bytes:
    """A refusal in the vendor's form: an object of lists of texts, inside HTTP 200."""
    key, user = (SPELLINGS[name](secret.text) for secret in (scene.key, scene.user_name))
    person = PERSONAL[scene.dice.choice(sorted(PERSONAL))][0]
    message = {"key": [f"Unknown key {key}"], "user_name": [f"{user} has no return of {person}"]}
    meta = {"success": False, "status": 400, "message": message}
    return json.dumps({"meta": meta}).encode()
