"""What is shipped for deployment agrees with the gateway: its configurations load, its times fit together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.compile.check import load_and_check
from gateway.config.spec import Spec

DEPLOY = Path(__file__).parents[2] / "deploy"
KEYS = {"OPENAI_API_KEY": "key-of-openai", "GATEWAY_ADMIN_KEY": "key-of-the-admin"}


def manifests(name: str) -> dict[str, Any]:
    """Give the objects of a file by kind."""
    return {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text())}


def configuration(name: str, folder: Path) -> Spec:
    """Load the gateway.yaml that a manifest carries."""
    path = folder / "gateway.yaml"
    path.write_text(manifests(name)["ConfigMap"]["data"]["gateway.yaml"])
    return load_and_check(path, KEYS).spec


def container(name: str) -> dict[str, Any]:
    pod = manifests(name)["Deployment"]["spec"]["template"]["spec"]
    found = [one for one in [*pod.get("initContainers", []), *pod["containers"]] if one["name"] == "gateway"]
    return dict(found[0])


@pytest.mark.parametrize("name", ["deployment.yaml", "sidecar.yaml"])
def test_a_pod_has_longer_to_stop_than_the_gateway_takes(name: str, tmp_path: Path) -> None:
    drain = configuration(name, tmp_path).server.drain
    pod = manifests(name)["Deployment"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= max(drain.grace_s, drain.deadline_s) + 10


@pytest.mark.parametrize("name", ["deployment.yaml", "sidecar.yaml"])
def test_probes_ask_ports_that_the_node_can_reach_and_that_answer_without_a_key(name: str, tmp_path: Path) -> None:
    server = configuration(name, tmp_path).server
    addresses = {one.port: one.host for one in (*server.listen, server.admin.listen)}
    box = container(name)
    ports = {port["name"]: port["containerPort"] for port in box["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = box[probe]["httpGet"]
        assert addresses[ports[asked["port"]]] == "0.0.0.0"
        assert asked["path"] in ("/ready", "/health")


@pytest.mark.parametrize("name", ["deployment.yaml", "sidecar.yaml"])
def test_the_configuration_is_mounted_as_a_folder_and_watched(name: str, tmp_path: Path) -> None:
    server = configuration(name, tmp_path).server
    box = container(name)
    (mount,) = (one for one in box["volumeMounts"] if one["name"] == "config")
    assert server.watch
    assert "subPath" not in mount
    assert box["args"] == ["run", "--config", f"{mount['mountPath']}/gateway.yaml"]


def test_the_sidecar_is_a_native_one() -> None:
    assert container("sidecar.yaml")["restartPolicy"] == "Always"


def test_the_service_unit_waits_for_the_default_drain() -> None:
    lines = (DEPLOY / "systemd/gateway.service").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    assert (settings["Type"], settings["KillMode"]) == ("notify-reload", "mixed")
    assert int(settings["TimeoutStopSec"].removesuffix("s")) >= 30 + 10


def test_compose_waits_for_the_default_drain() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["gateway"]
    assert int(service["stop_grace_period"].removesuffix("s")) >= 30 + 10
