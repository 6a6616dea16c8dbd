"""Every way to fail that might show a secret: `PATHS` is the contents page.

A path makes something fail in its scene and collects every message about it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from proof.pages import pages
from proof.scene import FAILING, FROM, HOURS, TO, Scene, environment, every_log, output_kept, token
from proof.serving import serving
from proof.telling_back import told_back
from support.deployment import deployed
from support.receiver import receiving
from support.unattended import START, Unattended

from returns_orchestration.defs.instance import open_instance
from returns_orchestration.simulator import FAULT_NAMES

FailurePath = Callable[[Scene], None]

BACKFILL = ("backfill", FROM, TO)
STATUS = ("status", FROM, TO)
SILENT = frozenset({"hang", "slow-hang"})
"""Faults at which a command waits 60 s for each of five attempts: only tried in this process."""


def fault(name: str, scene: Scene) -> None:
    """One hour fails on each request: in this process, and by command."""
    scene.world.simulator.faults = [f"{name}:*:{FAILING}"]
    scene.pipeline()
    if name not in SILENT:
        scene.run("backfill", FAILING, FAILING.replace("01:00", "02:00"))
        scene.run(*STATUS)


def refused(variable: str, scene: Scene) -> None:
    """Key or user name differs from the API's."""
    scene.world.variables[variable] = scene.canary().text
    scene.each(BACKFILL, ("doctor",), STATUS)
    scene.pipeline()


def absent(variable: str, scene: Scene) -> None:
    """Key or user name is not set."""
    scene.world.variables[variable] = ""
    scene.each(BACKFILL, ("doctor",), STATUS)


def nobody_listens(scene: Scene) -> None:
    """No connection at all."""
    scene.world.variables["CLICKPOST_BASE_URL"] = "http://127.0.0.1:1/api"
    scene.pipeline()
    scene.each(("doctor",), BACKFILL, STATUS)


def unknown_host(scene: Scene) -> None:
    """A host that no name server resolves: only the name may be shown."""
    scene.world.variables["CLICKPOST_BASE_URL"] = "http://no-such-host.invalid/api"
    scene.pipeline()
    scene.each(("doctor",))


def through_a_proxy(scene: Scene) -> None:
    """A proxy with a password that cannot be reached."""
    user, password = (quote(scene.canary().text, safe="") for _ in range(2))
    proxy = f"http://{user}:{password}@127.0.0.1:1"
    scene.world.variables |= {"HTTP_PROXY": proxy, "http_proxy": proxy, "NO_PROXY": ""}
    scene.world.variables["CLICKPOST_BASE_URL"] = "http://no-such-host.invalid/api"
    with environment(scene.world):
        scene.pipeline()
    scene.each(("doctor",))


def in_the_address(form: str, scene: Scene) -> None:
    """An address that holds the secrets is refused, and not repeated."""
    key, user = (quote(secret.text, safe="") for secret in (scene.key, scene.user_name))
    address = form.format(key=key, user=user)
    scene.world.variables["CLICKPOST_BASE_URL"] = address
    scene.ours(*BACKFILL)
    scene.each(STATUS, ("doctor",))
    scene.materialize()


def no_text(variable: str, scene: Scene) -> None:
    """A variable with bytes that are not UTF-8."""
    secret = os.fsdecode(scene.canary().text.encode() + b"\xff\xfe")
    scene.world.variables[variable] = secret
    scene.ours(*BACKFILL)
    scene.each(("doctor",), STATUS)
    scene.materialize()


def lake_is_no_folder(below: str, scene: Scene) -> None:
    """The lake is a file, or would lie below one."""
    (scene.folder / "lake").write_text("not a folder")
    scene.world.variables["RETURNS_LAKE"] = str(scene.folder / "lake" / below)
    scene.each(BACKFILL, ("doctor",), STATUS, ("verify", FROM, TO), ("rebuild", FROM, TO))


def home_is_no_folder(scene: Scene) -> None:
    """DAGSTER_HOME is a file."""
    (scene.folder / "dagster_home").write_text("not a folder")
    scene.each(BACKFILL, ("doctor",), STATUS, ("incidents",))
    scene.materialize()


def damaged_record(scene: Scene) -> None:
    """The lake's log of polls is truncated or overwritten."""
    scene.run(*BACKFILL)
    records = [p for p in sorted(scene.world.lake.rglob("*.json")) if p.is_file()]
    for record in scene.dice.sample(records, k=max(1, len(records) // 2)):
        content = record.read_bytes()
        record.write_bytes(scene.dice.choice([content[: len(content) // 2], b"{]", b"\xff" * 9]))
    scene.each(STATUS, ("verify", FROM, TO), ("rebuild", FROM, TO), BACKFILL, STATUS)


def alerts_fail(scene: Scene) -> None:
    """Channels and a heartbeat whose addresses hold secrets and lead nowhere."""
    user, password, path = (quote(scene.canary().text, safe="") for _ in range(3))
    scene.world.variables |= {
        "RETURNS_ALERT_URLS": f"json://{user}:{password}@127.0.0.1:1/{path},slack://{path}",
        "RETURNS_HEARTBEAT_URL": f"http://127.0.0.1:1/{path}",
    }
    scene.ours("alert", "--test")
    scene.each(("incidents",), ("incidents", "--all", "--json"))


def incidents(scene: Scene) -> None:
    """Hours fail while the sensors run; one channel accepts the messages, one does not."""
    hook = scene.canary()
    with receiving() as receiver:
        scene.world.variables |= {
            "RETURNS_START": START.isoformat(),
            "RETURNS_ALERT_GRACE_MINUTES": "30",
            "RETURNS_ALERT_URLS": f"{receiver.url}/{hook.tokens[0]},"
            f"json://user:{hook.tokens[1]}@127.0.0.1:1/",
            "RETURNS_HEARTBEAT_URL": f"http://127.0.0.1:1/{hook.tokens[0]}",
        }
        with (
            environment(scene.world),
            output_kept(scene.folder),
            every_log(logging.INFO) as lines,
            open_instance(scene.world.settings) as instance,
        ):
            daemon = Unattended(scene.world, instance, os.environ["DAGSTER_HOME"])
            daemon.live_to(START + timedelta(hours=2.2))
            scene.world.simulator.faults = [scene.dice.choice(["echo:*", "auth:*"])]
            daemon.live_to(START + timedelta(hours=4.2))
        scene.tell("the log", "\n".join(lines))
        scene.tell("the alerts received", json.dumps(receiver.messages))
        assert receiver.messages, "nobody was told"
    scene.failed = True
    scene.each(("incidents",), ("incidents", "--all", "--json"))


def env_file_read_by_all(scene: Scene) -> None:
    """A .env that every user of the machine may read, with the secrets that fail."""
    (scene.folder / "workspace.yaml").touch()
    file = scene.folder / ".env"
    values = {"CLICKPOST_KEY": scene.canary().text, "CLICKPOST_USER_NAME": scene.user_name.text}
    file.write_text("".join(f"{name}={_quoted(value)}\n" for name, value in values.items()))
    file.chmod(0o644)
    scene.world.variables |= dict.fromkeys(values, "")
    scene.ours(*BACKFILL)
    scene.each(STATUS, ("doctor",))
    scene.materialize()


def env_file_no_text(scene: Scene) -> None:
    """A .env that is not UTF-8: the library's error would hold the whole of it."""
    (scene.folder / "workspace.yaml").touch()
    (scene.folder / ".env").write_bytes(f"CLICKPOST_KEY={scene.key.text}".encode() + b"\xff\n")
    scene.world.variables["CLICKPOST_KEY"] = ""
    scene.ours(*BACKFILL)
    scene.each(("doctor",), STATUS)
    scene.materialize()


def materialize_failing(scene: Scene) -> None:
    """Dagster's own command for an hour that the API refuses, repeating the request."""
    scene.world.simulator.faults = [f"{scene.dice.choice(['echo', 'redirect'])}:*:{FAILING}"]
    scene.materialize()
    scene.ours(*STATUS)


def killed(scene: Scene) -> None:
    """SIGKILL while a request hangs; then the commands that show the lake's state."""
    scene.world.simulator.faults = [f"hang:*:{FAILING}"]
    asked = scene.world.when_asked(len(HOURS))
    process = scene.commands.start(scene.world, *BACKFILL)
    assert asked.wait(60), "it never asked"
    process.kill()
    process.join()
    scene.world.simulator.faults = []
    scene.ours(*STATUS)
    scene.each(("verify", FROM, TO), ("doctor",))


def every_page(scene: Scene) -> None:
    """A backfill of the UI with an hour that fails, and then every page of the UI."""
    name = scene.dice.choice(["echo", "meta-400-repr", "redirect"])
    scene.world.simulator.faults = [f"{name}:*:{FAILING}", f"not-json-utf8:*:{FROM}"]
    home = scene.folder / "dagster_home"
    with (
        environment(scene.world),
        output_kept(scene.folder),
        deployed(scene.world.settings, home) as deployment,
    ):
        deployment.finish(deployment.backfill(HOURS))
        for page, content in pages(deployment):
            scene.tell(f"page {page}", content)
            scene.pages += 1
    scene.failed = True


def personal_keys(scene: Scene) -> None:
    """A record whose new keys, and a code, are a person's address, telephone number and name."""
    dice, world = scene.dice, scene.world
    phone = f"98{dice.randrange(10**8):08d}"
    email, name = f"{token(dice)}@mail.example", f"{token(dice).title()} {token(dice).title()}"
    served = world.simulator.dataset.served(HOURS[0].start, HOURS[0].end, datetime.now(UTC))
    texts = (each.json for each in served if each.usable)
    record, payload, additional = next(filter(all, map(_objects, texts)))
    for holder in (record, payload, additional):
        holder.update({email: 1, f"+91{phone}": 1, f"tel_{phone}": 1, name: {}})
    payload["clickpost_status_code"] = int(phone)
    scene.columns |= {"webhook_clickpost_status_code", "clickpost_status_code"}
    scene.personal |= {phone, email, *name.split()}
    good = {"success": True, "status": 200, "message": "OK"}
    refusing = {"success": False, "status": 400, "message": [f"unknown: {email}, +91{phone}"]}
    with serving() as server:
        world.variables["CLICKPOST_BASE_URL"] = server.base_url
        server.body = json.dumps({"meta": good, "result": [record]}).encode()
        scene.pipeline()
        scene.each(BACKFILL, STATUS)
        server.body = json.dumps({"meta": refusing, "result": []}).encode()
        scene.each((*BACKFILL, "--repoll"), STATUS)


def _objects(text: str | bytes) -> list[Any]:
    """A record and the objects in it; None or {} where an oddity has replaced them."""
    record = json.loads(text)
    payload = record.get("webhook_payload")
    inner = payload.get("additional") if isinstance(payload, dict) else None
    return [found if isinstance(found, dict) else None for found in (record, payload, inner)]


def _quoted(value: str) -> str:
    """A text of odd characters, as a .env writes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


PATHS: dict[str, FailurePath] = {
    **{f"fault {name}": partial(fault, name) for name in FAULT_NAMES},
    "a refused key": partial(refused, "CLICKPOST_KEY"),
    "a refused user name": partial(refused, "CLICKPOST_USER_NAME"),
    "no key": partial(absent, "CLICKPOST_KEY"),
    "no user name": partial(absent, "CLICKPOST_USER_NAME"),
    "a key that is no text": partial(no_text, "CLICKPOST_KEY"),
    "a user name that is no text": partial(no_text, "CLICKPOST_USER_NAME"),
    "nobody listens": nobody_listens,
    "a host that is not known": unknown_host,
    "a proxy with a password": through_a_proxy,
    "the key in the address": partial(in_the_address, "https://a.invalid/api?key={key}"),
    "both before the host": partial(in_the_address, "https://{user}:{key}@a.invalid/api"),
    "the key in the path": partial(in_the_address, "https://a.invalid/{key}/api"),
    "the user name in the path": partial(in_the_address, "https://a.invalid/api/{user}"),
    "the lake is a file": partial(lake_is_no_folder, ""),
    "the lake is below a file": partial(lake_is_no_folder, "lake"),
    "DAGSTER_HOME is a file": home_is_no_folder,
    "damaged records of the lake": damaged_record,
    "alerts that do not arrive": alerts_fail,
    "incidents": incidents,
    "a .env for all to read": env_file_read_by_all,
    "a .env that is no text": env_file_no_text,
    "dagster asset materialize": materialize_failing,
    "SIGKILL in a request": killed,
    "the pages of the UI": every_page,
    "keys that are personal data": personal_keys,
    "told back in other spellings": told_back,
}
