"""What deploy/ holds is what Kubernetes and the service know: schemas, ports, labels, files that are there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
VERSION = "1.33"
FOREIGN = {"ServiceMonitor", "InferenceService", "Kustomization"}
"""Kinds that Kubernetes itself does not have: their schemas belong to the operators."""
PORTS = {"http": 3000, "grpc": 3001, "fast-http": 3002}
MANIFESTS = sorted(path for path in KUBERNETES.rglob("*.yaml") if path.name != "kustomization.yaml")


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def base(name: str) -> dict[str, Any]:
    """Return a manifest of the base."""
    return read(KUBERNETES / "base" / f"{name}.yaml")


@pytest.mark.parametrize("path", [path for path in MANIFESTS if path.parent.name == "base"], ids=lambda path: path.stem)
def test_manifests_are_what_the_published_schemas_say(path: Path) -> None:
    kubernetes_validate.validate(base(path.stem), VERSION, strict=True)


def test_the_schema_would_find_a_mistake() -> None:
    document = base("deployment")
    document["spec"]["template"]["spec"]["containers"][0]["port"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.mark.parametrize("folder", ["base", "monitoring", "kserve"])
def test_kustomizations_name_the_files_that_are_there(folder: str) -> None:
    named = {name for name in read(KUBERNETES / folder / "kustomization.yaml")["resources"] if name.endswith(".yaml")}
    there = {path.name for path in (KUBERNETES / folder).glob("*.yaml")} - {"kustomization.yaml"}
    assert named == there


def test_every_manifest_is_of_a_known_kind() -> None:
    assert {read(path)["kind"] for path in MANIFESTS} & FOREIGN == {"ServiceMonitor", "InferenceService"}


def test_all_selectors_are_of_the_pods() -> None:
    deployment = base("deployment")["spec"]
    labels, pods = deployment["template"]["metadata"]["labels"], deployment["template"]["spec"]
    (spread,) = pods["topologySpreadConstraints"]
    matched = [deployment["selector"], spread["labelSelector"], base("poddisruptionbudget")["spec"]["selector"]]
    matched.append(base("networkpolicy")["spec"]["podSelector"])
    assert labels
    assert [one["matchLabels"] for one in matched] == [labels] * 4
    assert base("service")["spec"]["selector"] == labels
    monitored = read(KUBERNETES / "monitoring" / "servicemonitor.yaml")["spec"]["selector"]["matchLabels"]
    assert monitored.items() <= base("service")["metadata"]["labels"].items()


def test_ports_are_those_of_the_image() -> None:
    (container,) = base("deployment")["spec"]["template"]["spec"]["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == PORTS
    for port in base("service")["spec"]["ports"]:
        assert port["targetPort"] in PORTS
    monitor = read(KUBERNETES / "monitoring" / "servicemonitor.yaml")
    names = {port["name"] for port in base("service")["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= names
    compose = read(DEPLOY / "compose.yaml")["services"]["service"]
    assert [port.split(":")[-1].split()[0] for port in compose["ports"]] == ["3000", "3001", "3002"]
    (scrape,) = read(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["service:3000"]}]


@pytest.mark.parametrize("path", ["base/deployment.yaml", "kserve/inferenceservice.yaml"])
def test_pods_are_locked_down(path: str) -> None:
    spec = read(KUBERNETES / path)["spec"]
    pod = spec["template"]["spec"] if "template" in spec else spec["predictor"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"readinessProbe", "livenessProbe"} <= container.keys()
    assert container["resources"].keys() == {"requests", "limits"}


def test_compose_refers_to_what_is_there() -> None:
    compose = read(DEPLOY / "compose.yaml")
    services, volumes = compose["services"], compose["volumes"].keys()
    for name, service in services.items():
        assert ("image" in service) != ("build" in service), name
        assert set(service.get("depends_on", ())) <= services.keys(), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in volumes or (DEPLOY / source).exists(), volume
        for config in service.get("configs", ()):
            assert config["source"] in compose["configs"]
        if "build" in service:
            assert (DEPLOY / service["build"] / "Dockerfile").is_file()
    variables = re.findall(r"\$\{(\w+)(:-[^}]*)?\}", (DEPLOY / "compose.yaml").read_text())
    assert all(default for _, default in variables)  # it starts without a file .env


def test_mlflow_is_the_version_that_is_tested() -> None:
    pins = (DEPLOY.parent / "scripts" / "pins.txt").read_text().split()
    (pin,) = [pin for pin in pins if pin.startswith("mlflow==")]
    assert pin in (DEPLOY / "mlflow" / "Dockerfile").read_text()


def test_dashboards_and_alerts_ask_for_metrics_that_the_service_has() -> None:
    monitoring = DEPLOY.parent / "src" / "thresher" / "serving" / "monitoring"
    sources = "".join((monitoring / f"{name}.py").read_text() for name in ("metrics", "drift", "shadow"))
    exported = set(re.findall(r'"(thresher_\w+)"', sources))
    panels = json.loads((DEPLOY / "grafana" / "dashboards" / "thresher.json").read_text())["panels"]
    asked = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    asked += (DEPLOY / "prometheus" / "alerts.yml").read_text()
    names = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in re.findall(r"\bthresher_\w+", asked)}
    assert len(panels) >= 9
    assert names <= exported
    assert {"thresher_requests", "thresher_input_drift_psi", "thresher_shadow_agreements"} <= names
