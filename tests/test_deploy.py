"""What deploy/ has for Docker, Kubernetes and AWS, where none of them is: held against the code.

Each variable exists, each command exists, and Dagster's own classes accept the launchers.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.launcher import RunLauncher
from dagster._serdes import ConfigurableClassData
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
    page = (ROOT / "docs/how-to/scale-out.md").read_text()
    (block,) = re.findall(r"```ini\n(.+?)```", page, re.DOTALL)
    assert {line.split("=")[0] for line in block.splitlines()} == of_environment(CELERY)


def test_the_services_of_compose_are_all_parts_and_the_receiver() -> None:
    commands = [told["command"] for told in OURS.values()]
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
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)
    assert json.loads(entry) == ["returns-orchestration"]
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = [word for word in shlex.split(line) if not word.startswith("--")]
        assert all((ROOT / source).exists() for source in sources), line


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
