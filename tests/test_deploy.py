"""What deploy/ has for Docker, Kubernetes and AWS, where none of them is: held against the code.

Each variable exists, each command exists, and Dagster's own classes accept the launchers.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import textwrap
import tomllib
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from dagster._core.launcher import RunLauncher
from dagster._core.utils import parse_env_var
from dagster._serdes import ConfigurableClassData
from support.redis_server import CONFIGURATION, READY, RedisServer
from typer.main import get_command

from returns_orchestration.cli import build_app
from returns_orchestration.cli.services import Part
from returns_orchestration.settings import VARIABLES

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())
OURS = {name: told for name, told in COMPOSE["services"].items() if "build" in told}
VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes/values.yaml").read_text())
CELERY: dict[str, Any] = yaml.safe_load((DEPLOY / "celery/dagster.yaml").read_text())
DOCKERFILE = (DEPLOY / "docker/Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGE = (ROOT / "docs/how-to/scale-out.md").read_text()
PROGRAM = "returns-orchestration"
NEEDS_NO_ROOT = 1024
"""The first port at which a user who is not root may listen everywhere."""

VERSION, EXTRAS = PROJECT["version"], PROJECT["optional-dependencies"]
RUN_AS = 10001
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {}}]
current-context: none
"""


def of_environment(told: object) -> set[str]:
    """The variables that a configuration of Dagster reads."""
    if isinstance(told, dict):
        inner = {name for value in told.values() for name in of_environment(value)}
        return inner | ({told["env"]} if isinstance(told.get("env"), str) else set())
    return (
        {name for value in told for name in of_environment(value)}
        if isinstance(told, list)
        else set()
    )


def test_each_configuration_of_ours_names_variables_that_exist() -> None:
    known = {*VARIABLES, *of_environment(CELERY), "DAGSTER_HOME"}
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            found = set(
                re.findall(
                    r"\b(?:RETURNS|CLICKPOST|CELERY|PG|DAGSTER)_?[A-Z_]{4,}\b", path.read_text()
                )
            )
            assert found - {"RETURNS_ENV_FILE"} <= known, path


def test_the_page_gives_each_variable_that_the_configuration_reads() -> None:
    (block,) = re.findall(r"```ini\n(.+?)```", PAGE, re.DOTALL)
    lines = textwrap.dedent(block).splitlines()
    assert {line.split("=")[0] for line in lines} - {""} == of_environment(CELERY)


def test_the_services_of_compose_are_all_parts_and_the_receiver() -> None:
    programs, commands = zip(
        *((told["command"][0], told["command"][1:]) for told in OURS.values()), strict=True
    )
    assert set(programs) == {PROGRAM}
    parts = [command[1] for command in commands if command[0] == "serve"]
    assert sorted(parts) == sorted(Part)
    assert [command for command in commands if command[0] != "serve"] == [["receive"]]
    assert {*COMPOSE["services"]} - {*OURS} == {"postgres", "redis"}
    group = get_command(build_app())
    for command in commands:
        known = {name for option in group.commands[command[0]].params for name in option.opts}  # type: ignore[attr-defined]
        assert {word for word in command if word.startswith("--")} <= known


def test_every_service_of_compose_has_what_its_configuration_reads_and_no_more_rights() -> None:
    for name, told in OURS.items():
        assert of_environment(CELERY) <= told["environment"].keys(), name
        assert told["read_only"] or name == "worker", name
        assert told["cap_drop"] == ["ALL"], name
        assert "privileged" not in told, name
        assert {"postgres", "redis"} == told["depends_on"].keys(), name
    for told in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in told.get("ports", []))
        for volume in told.get("volumes", []):
            source = volume.split(":")[0]
            in_deploy = source.startswith(".") and (DEPLOY / "docker" / source).is_file()
            assert source in COMPOSE["volumes"] or in_deploy, volume


def test_a_worker_of_compose_shares_no_folder_and_the_pool_has_a_place_for_each() -> None:
    worker = OURS["worker"]
    assert "volumes" not in worker
    assert worker["deploy"]["replicas"] == CELERY["concurrency"]["pools"]["default_limit"]


def test_the_image_has_the_extras_and_the_pins_and_is_not_run_as_root() -> None:
    assert "--constraint /tmp/constraints.txt" in DOCKERFILE
    (extras,) = re.findall(r"whl\)\[(.+?)\]", DOCKERFILE)
    assert set(extras.split(",")) == EXTRAS.keys() - {"test", "docs", "spark"}
    users = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)
    assert users == [f"{RUN_AS}:{RUN_AS}"]
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = [word for word in shlex.split(line) if not word.startswith("--")]
        assert all((ROOT / source).exists() for source in sources), line


def test_the_image_runs_commands_of_dagster_too_and_doctor_by_itself() -> None:
    """Dagster's chart and launchers give words of their own, as `dagster api grpc`."""
    assert not re.search(r"^\s*ENTRYPOINT\b", DOCKERFILE, re.MULTILINE | re.IGNORECASE)
    assert not [name for name, told in OURS.items() if "entrypoint" in told]
    (command,) = re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)
    program, name = yaml.safe_load(command)
    assert program == PROGRAM
    assert name in get_command(build_app()).commands  # type: ignore[attr-defined]


def mounts(told: dict[str, Any]) -> dict[str, str]:
    """The volumes and files of a service, by the place where they are in its container."""
    return {volume.split(":")[1]: volume.split(":")[0] for volume in told.get("volumes", [])}


def in_a_volume(path: str, told: dict[str, Any]) -> bool:
    """Whether ``path`` is inside of a volume, and not the folder of the volume itself."""
    volumes = {place for place, source in mounts(told).items() if source in COMPOSE["volumes"]}
    return bool(volumes & {str(parent) for parent in PurePosixPath(path).parents})


def test_the_spool_of_the_receiver_is_a_file_in_a_volume() -> None:
    receiver = OURS["receiver"]
    spool = receiver["environment"]["RETURNS_WEBHOOK_SPOOL"]
    assert in_a_volume(spool, receiver)
    assert PurePosixPath(spool).suffix == ".db"


def test_redis_is_told_a_folder_of_a_volume_and_no_other() -> None:
    """It reads its file first, and ends where the file names a folder that is not there."""
    redis = COMPOSE["services"]["redis"]
    program, file, *options = redis["command"]
    assert program == "redis-server"
    assert (DEPLOY / "docker" / mounts(redis)[file]).resolve() == CONFIGURATION
    in_file = [
        line.split()[1]
        for line in CONFIGURATION.read_text().splitlines()
        if line.lower().startswith("dir ")
    ]
    folders = in_file + [options[n + 1] for n, word in enumerate(options) if word == "--dir"]
    assert folders
    assert all(in_a_volume(f"{folder}/appendonlydir", redis) for folder in folders)


REDIS = shutil.which("redis-server")


@pytest.mark.skipif(REDIS is None, reason="there is no redis-server")
@pytest.mark.parametrize("how", ["compose", "systemd"])
def test_redis_starts_with_the_command_that_is_shipped(how: str, tmp_path: Path) -> None:
    if how == "compose":
        words = COMPOSE["services"]["redis"]["command"]
    else:
        unit = (DEPLOY / "celery/redis-server.conf").read_text()
        words = shlex.split(re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)[-1])
        words = [word for word in words if word not in {"--supervised", "systemd"}]
    here = [str(REDIS), str(CONFIGURATION), *words[2:]]
    here[here.index("--dir") + 1] = str(tmp_path)
    here += ["--bind", "127.0.0.1", "--port", str(RedisServer(tmp_path).port)]
    process = subprocess.Popen(here, stdout=subprocess.PIPE, text=True, cwd=tmp_path)  # noqa: S603 - a program of the system
    try:
        assert process.stdout
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if READY in line:
                break
        assert lines
        assert READY in lines[-1], "".join(lines)
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / "appendonlydir").is_dir()


def test_each_command_of_compose_on_a_page_has_the_file_of_settings() -> None:
    demanded = re.findall(r"\$\{\w+:\?\}", (DEPLOY / "docker/compose.yaml").read_text())
    assert demanded, "compose reads it for these"
    commands = [
        line.strip()
        for path in [*(ROOT / "docs").rglob("*.md"), *DEPLOY.rglob("*.*")]
        for line in path.read_text().splitlines()
        if "docker compose " in line
    ]
    assert commands
    given = "--env-file deploy/docker/settings.env -f deploy/docker/compose.yaml "
    assert not [line for line in commands if f"docker compose {given}" not in line]
    group = get_command(build_app())
    for line in commands:
        if re.search(r" (run --rm|exec) ", line):
            service, program, name = re.split(r" (?:run --rm|exec) ", line)[1].split()[:3]
            assert service in OURS
            assert program == PROGRAM
            assert name in group.commands  # type: ignore[attr-defined]


def test_every_file_names_this_release() -> None:
    images = [told["image"] for told in OURS.values()]
    deployments = VALUES["dagster-user-deployments"]["deployments"]
    pods = [*deployments, VALUES["dagsterDaemon"], VALUES["dagsterWebserver"]]
    assert {image.split(":")[1] for image in images} == {VERSION}
    assert {pod["image"]["tag"] for pod in pods} == {VERSION}
    for name in ("docker/dagster.yaml", "kubernetes/dagster.yaml"):
        assert f"returns-orchestration:{VERSION}" in (DEPLOY / name).read_text()
    pinned = re.search(r"^dagster==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    assert f"--version {pinned[1]} " in (DEPLOY / "kubernetes/values.yaml").read_text()


def test_the_values_of_the_chart_lead_to_an_external_postgres_and_our_code() -> None:
    (deployment,) = VALUES["dagster-user-deployments"]["deployments"]
    assert deployment["dagsterApiGrpcArgs"] == [
        "--module-name",
        "returns_orchestration.definitions",
    ]
    assert deployment["includeConfigInLaunchedRuns"]["enabled"]
    assert deployment["envSecrets"]
    assert deployment["podSecurityContext"]["runAsUser"] == RUN_AS
    assert not VALUES["postgresql"]["enabled"]
    scheme = CELERY["storage"]["custom"]["config"]["postgres_db"]["scheme"]
    assert VALUES["postgresql"]["postgresqlScheme"] == scheme
    assert VALUES["runLauncher"]["type"] == "K8sRunLauncher"
    assert not re.search(r"(?i)password: *\S", (DEPLOY / "kubernetes/values.yaml").read_text())


LAUNCHERS = {"docker": "dagster_docker", "kubernetes": "dagster_k8s"}


@pytest.mark.parametrize("where", LAUNCHERS)
def test_dagsters_own_class_accepts_a_launcher(where: str, tmp_path: Path) -> None:
    if find_spec(LAUNCHERS[where]) is None:
        pytest.skip(f"there is no module {LAUNCHERS[where]}")
    told = yaml.safe_load((DEPLOY / where / "dagster.yaml").read_text())["run_launcher"]
    assert told["module"] == LAUNCHERS[where]
    if where == "kubernetes":  # outside a cluster
        (tmp_path / "kubeconfig").write_text(KUBECONFIG)
        told["config"] |= {
            "load_incluster_config": False,
            "kubeconfig_file": str(tmp_path / "kubeconfig"),
        }
    data = ConfigurableClassData(told["module"], told["class"], yaml.safe_dump(told["config"]))
    launcher = data.rehydrate(as_type=RunLauncher)
    assert type(launcher).__name__ == told["class"]


def test_a_run_in_a_container_is_given_what_its_configuration_reads() -> None:
    told = yaml.safe_load((DEPLOY / "docker/dagster.yaml").read_text())["run_launcher"]
    of_storage = of_environment(CELERY["storage"])
    assert of_storage <= set(told["config"]["env_vars"])
    assert told["config"]["network"] == f"{COMPOSE['name']}_default"


def test_dagster_starts_no_container_without_a_variable_that_is_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So the keys must be taken out where a role stands for them: the file and the page say so."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(Exception, match="AWS_ACCESS_KEY_ID"):
        parse_env_var("AWS_ACCESS_KEY_ID")
    comments = re.findall(r"^ *# (.+)$", (DEPLOY / "docker/dagster.yaml").read_text(), re.MULTILINE)
    for text in (" ".join(comments), " ".join(PAGE.split())):
        assert "take out AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in text


def secrets_of_the_page() -> dict[str, set[str]]:
    """The secrets that the page makes, each with its keys; a file of settings has any of them."""
    found: dict[str, set[str]] = {}
    for command in re.findall(r"kubectl create secret (.+)", PAGE.replace("\\\n", " ")):
        kind, name, *options = shlex.split(command)
        assert kind == "generic"
        keys = {o.split("=")[1] for o in options if o.startswith("--from-literal=")}
        found[name] = keys | (
            set(VARIABLES) if "--from-env-file=settings.env" in options else set()
        )
    return found


def test_a_run_in_a_job_is_given_what_its_configuration_reads() -> None:
    config = yaml.safe_load((DEPLOY / "kubernetes/dagster.yaml").read_text())["run_launcher"][
        "config"
    ]
    made = secrets_of_the_page()
    given = {key for name in config["env_secrets"] for key in made[name]}
    assert of_environment(CELERY["storage"]) <= given
    assert {"CLICKPOST_KEY", "RETURNS_LAKE"} <= given
    namespace = config["job_namespace"]
    for kind in ("configmap", "serviceaccount"):
        name = config["instance_config_map" if kind == "configmap" else "service_account_name"]
        assert f"kubectl create {kind} {name} --namespace {namespace}" in PAGE
    assert f"--serviceaccount={namespace}:{config['service_account_name']}" in PAGE


def test_the_chart_is_given_the_secrets_that_the_page_makes() -> None:
    made = secrets_of_the_page()
    assert "postgresql-password" in made[VALUES["global"]["postgresqlSecretName"]]
    (deployment,) = VALUES["dagster-user-deployments"]["deployments"]
    assert {secret["name"] for secret in deployment["envSecrets"]} <= made.keys()


def ports_of(told: object) -> list[int]:
    """Each port that a part of the values names."""
    if not isinstance(told, dict):
        return []
    own = [told["port"]] if "port" in told else []
    return own + [port for value in told.values() for port in ports_of(value)]


def test_the_webserver_of_the_chart_listens_where_the_user_of_the_image_may() -> None:
    """By default it is 80, and the probe has a number of its own."""
    told = VALUES["dagsterWebserver"]
    assert told["service"]["port"] >= NEEDS_NO_ROOT
    assert told["readinessProbe"]["httpGet"]["port"] == told["service"]["port"]
    assert len(set(ports_of(told))) == 1


UNITS = [*DEPLOY.glob("systemd/*.service"), *DEPLOY.glob("celery/*.service")]


def variables_of(unit: Path) -> dict[str, str]:
    """What a unit sets."""
    return dict(re.findall(r"^Environment=(\w+)=(.+)$", unit.read_text(), re.MULTILINE))


def test_every_unit_reads_the_file_of_the_variables_that_are_no_settings() -> None:
    files = [re.findall(r"^EnvironmentFile=-?(.+)$", u.read_text(), re.MULTILINE) for u in UNITS]
    assert files == [["/etc/returns-orchestration/dagster.env"]] * len(UNITS)
    (installed,) = re.findall(r"^ *install .+ dagster\.env (.+)$", PAGE, re.MULTILINE)
    assert [installed] == files[0]


@pytest.mark.parametrize("page", ["how-to/services.md", "operations.md"])
def test_a_command_on_a_page_has_what_the_units_have(page: str) -> None:
    text = (ROOT / "docs" / page).read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^systemd-run (.+)$", text, re.MULTILINE)
    words = shlex.split(line)
    options = [word for word in words if word.startswith("--")]
    (unit,) = [unit for unit in UNITS if unit.stem.endswith("code-server")]
    set_there = {o.removeprefix("--setenv=") for o in options if o.startswith("--setenv=")}
    assert set_there == {f"{name}={value}" for name, value in variables_of(unit).items()}
    lines = unit.read_text().splitlines()
    properties = {o.removeprefix("--property=") for o in options if o.startswith("--property=")}
    assert {p.split("=")[0] for p in properties} == {"EnvironmentFile", "UMask"}
    assert properties <= set(lines)
    assert {"--uid=returns", "--gid=returns"} <= set(options)
    assert {"User=returns", "Group=returns"} <= set(lines)
    program, name = words[len(options) :]
    assert f"ExecStart={program} serve code-server" in lines
    assert name in get_command(build_app()).commands  # type: ignore[attr-defined]


def test_the_page_puts_package_and_configuration_where_the_units_look() -> None:
    (pip, extras) = re.search(r"(\S+)/pip install .+\.whl\)\[(.+)\]", PAGE).groups()  # type: ignore[union-attr]
    assert extras in EXTRAS
    placed = set(re.findall(r"deploy/celery/dagster\.yaml (\S+)/dagster\.yaml", PAGE))
    homes = set()
    for unit in UNITS:
        assert f"ExecStart={pip}/{PROGRAM} " in unit.read_text()
        homes.add(variables_of(unit)["DAGSTER_HOME"].replace("%i", "1"))
    assert placed == homes


def test_the_sums_of_a_month_are_those_of_the_counts_of_requests() -> None:
    """Thirty days on both pages, and what is not counted is named on both."""
    store = (ROOT / "docs/how-to/object-stores.md").read_text()
    scale = (ROOT / "docs/scale.md").read_text()
    counts = re.search(r"^\| the run of a live hour \| (\d+) \| (\d+) ", store, re.MULTILINE)
    assert counts
    puts, gets = (int(count) * 30 * 24 for count in counts.groups())
    row = f"| 720 live hours | {round(puts, -3):,} PUT and LIST, {round(gets, -3):,} GET |"
    assert row in store
    assert f"a month: live hours | {round(puts + gets, -3):,} |" in scale
    parts = re.findall(r"^\| (?:720|sensors|webhooks).+ \| (\d\.\d\d) \|$", store, re.MULTILINE)
    assert f"| {sum(map(float, parts)):.2f} |" in scale
    assert "olls that are repeated" in store
    assert "Polls at later ages" in scale
    for page in (store, scale):
        assert "A month has 30 days." in page
