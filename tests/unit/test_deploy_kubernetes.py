"""deploy/kubernetes: valid by the schemas of Kubernetes, coherent in itself, and true to Corral."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from kubernetes_extensions import SCHEMAS
from kubernetes_manifests import (
    KUBERNETES,
    OVERLAYS,
    Manifest,
    container,
    of_kind,
    overlay,
    pods,
    selects,
    template,
)

from compose_file import read
from corral.api.health import healthz, readyz
from corral.cli import app
from corral.queues import built_in
from corral.settings import known_names, secret_names
from corral.worker.supervise import MARGIN_SECONDS

#: The oldest and the newest that the manifests are held to: preStop's sleep came with 1.30.
VERSIONS = ("1.30", "1.36")
#: Of Corral's own pods.
OURS = ("api", "dashboard", "worker", "worker-images")
SERVED = ("api", "dashboard")


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return overlay(request.param)


@pytest.fixture
def settings() -> dict[str, str]:
    (found,) = of_kind(overlay("small"), "ConfigMap")
    data: dict[str, str] = found["data"]
    return data


def check(manifest: Manifest, *versions: str) -> None:
    if manifest["kind"] in SCHEMAS:
        jsonschema.validate(manifest, SCHEMAS[manifest["kind"]])
        return
    for version in versions:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_every_manifest_is_valid() -> None:
    everything = [manifest for name in OVERLAYS for manifest in overlay(name)] + template()
    for manifest in {(m["kind"], m["metadata"]["name"]): m for m in everything}.values():
        check(manifest, *VERSIONS)


def test_a_misspelt_field_is_found() -> None:
    """That the validation is one."""
    (api,) = [m for m in of_kind(overlay("small"), "Deployment") if m["metadata"]["name"] == "api"]
    container(api["spec"]["template"])["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        check(api, VERSIONS[0])
    (scaled, *_) = of_kind(overlay("keda"), "ScaledObject")
    scaled["spec"]["minReplicas"] = 1
    with pytest.raises(jsonschema.ValidationError):
        check(scaled)


def test_every_file_is_in_some_overlay() -> None:
    used = {(m["kind"], m["metadata"]["name"]) for name in OVERLAYS for m in overlay(name)}
    for file in KUBERNETES.rglob("*.yaml"):
        if file.name in ("kustomization.yaml", "secrets.template.yaml"):
            continue
        for manifest in yaml.safe_load_all(file.read_text()):
            assert (manifest["kind"], manifest["metadata"]["name"]) in used, file


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("name", OVERLAYS)
def test_kustomize_builds_it(name: str) -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES / "overlays" / name)],
        capture_output=True,
        text=True,
        check=True,
    )
    manifests = list(yaml.safe_load_all(built.stdout))
    assert len(manifests) == len(overlay(name))
    for manifest in manifests:
        check(manifest, VERSIONS[-1])
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == "corral", manifest["metadata"]["name"]
    # What an autoscaler scales has no number of its own, which each apply would set it back to.
    scaled = {
        m["spec"]["scaleTargetRef"]["name"]
        for m in of_kind(manifests, "HorizontalPodAutoscaler", "ScaledObject")
    }
    fixed = {m["metadata"]["name"] for m in of_kind(manifests, "Deployment") if "replicas" in m["spec"]}
    assert scaled == (set() if name == "small" else {"worker", "worker-images"})
    assert fixed == set(OURS) - scaled


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_overlay_of_the_page_builds(tmp_path: Path) -> None:
    page = (KUBERNETES.parents[1] / "docs" / "operate" / "deploy.md").read_text()
    block = next(text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "patches:" in text)
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    mine = tmp_path / "kubernetes" / "overlays" / "small"
    with (mine / "kustomization.yaml").open("a") as file:
        file.write(block)
    built = subprocess.run(["kubectl", "kustomize", str(mine)], capture_output=True, text=True, check=True)
    manifests = list(yaml.safe_load_all(built.stdout))
    for manifest in manifests:
        check(manifest, VERSIONS[-1])
    data = next(m for m in manifests if m["metadata"]["name"] == "corral-settings")["data"]
    assert data["CORRAL_PUBLIC_URL"] == "https://jobs.example.org"
    assert not [name for name in data if name.startswith("IDENFY_")]
    assert built.stdout.count("image: registry.example.com/corral:0.1.0") == len(OURS)
    assert built.stdout.count("kubernetes.io/metadata.name: traefik") == len(SERVED)


def test_names_are_unique(manifests: list[Manifest]) -> None:
    names = [(m["kind"], m["metadata"]["name"]) for m in manifests]
    assert len(names) == len(set(names))


def test_selectors_find_the_pods_they_are_meant_for(manifests: list[Manifest]) -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(manifests).items()}
    for maker in of_kind(manifests, "Deployment", "StatefulSet"):
        name, spec = maker["metadata"]["name"], maker["spec"]
        assert [n for n in labels if selects(spec["selector"], labels[n])] == [name]
        for spread in spec["template"]["spec"].get("topologySpreadConstraints", []):
            assert [n for n in labels if selects(spread["labelSelector"], labels[n])] == [name]
    for budget in of_kind(manifests, "PodDisruptionBudget"):
        assert [n for n in labels if selects(budget["spec"]["selector"], labels[n])] == [
            budget["metadata"]["name"]
        ]
    for service in of_kind(manifests, "Service"):
        assert [n for n in labels if service["spec"]["selector"].items() <= labels[n].items()] == [
            service["metadata"]["name"]
        ]
    for policy in of_kind(manifests, "NetworkPolicy"):
        assert any(selects(policy["spec"]["podSelector"], found) for found in labels.values())
    assert {b["metadata"]["name"] for b in of_kind(manifests, "PodDisruptionBudget")} == set(OURS)


def test_monitors_find_a_port_of_what_they_select() -> None:
    manifests = overlay("hpa")
    scraped = yaml.safe_load((KUBERNETES.parent / "prometheus" / "prometheus.yml").read_text())[
        "scrape_configs"
    ]
    # The rules know the jobs by these names.
    renamed = references(of_kind(manifests, "ServiceMonitor", "PodMonitor"), "relabelings")
    assert {r["replacement"] for (r,) in renamed} == {job["job_name"] for job in scraped}
    for monitor in of_kind(manifests, "ServiceMonitor"):
        (service,) = [
            s
            for s in of_kind(manifests, "Service")
            if selects(monitor["spec"]["selector"], s["metadata"]["labels"])
        ]
        ports = {port["name"] for port in service["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports
    for monitor in of_kind(manifests, "PodMonitor"):
        chosen = {
            name: container(pod)
            for name, pod in pods(manifests).items()
            if selects(monitor["spec"]["selector"], pod["metadata"]["labels"])
        }
        assert set(chosen) == {"worker", "worker-images"}
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            assert all(endpoint["port"] in {p["name"] for p in c["ports"]} for c in chosen.values())


def test_commands_are_real_and_listen_where_probes_look(manifests: list[Manifest]) -> None:
    paths = healthz.paths | readyz.paths
    assert paths == {
        "/healthz",
        "/readyz",
    }  # of a worker's health port, too: tests/integration/test_worker_health.py
    for name in OURS:
        found = container(pods(manifests)[name])
        app.parse_args(found["args"], print_error=False, exit_on_error=False)
        option = "--port" if name in SERVED else "--health-port"
        (port,) = found["ports"]
        assert str(port["containerPort"]) == found["args"][found["args"].index(option) + 1]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert found[probe]["httpGet"]["port"] == port["name"]
            assert found[probe]["httpGet"]["path"] in paths
        assert found["livenessProbe"]["httpGet"]["path"] == "/healthz"
        # The dashboard has something to show without Redis, too.
        ready = "/healthz" if name == "dashboard" else "/readyz"
        assert found["readinessProbe"]["httpGet"]["path"] == ready


def test_the_ports_are_those_of_the_compose_file(manifests: list[Manifest]) -> None:
    services = read()["services"]
    for name, service in (("api", "api"), ("dashboard", "dashboard"), ("worker", "job-worker")):
        port = str(container(pods(manifests)[name])["ports"][0]["containerPort"])
        assert port in services[service]["command"]


def test_a_redis_that_is_away_restarts_no_worker_at_once(manifests: list[Manifest]) -> None:
    for name in ("worker", "worker-images"):
        probe = container(pods(manifests)[name])["livenessProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] >= 300


def test_the_workers_serve_every_queue_once(manifests: list[Manifest]) -> None:
    served = [
        queue
        for name in ("worker", "worker-images")
        for queue in queues_of(container(pods(manifests)[name])["args"])
    ]
    assert sorted(served) == sorted(built_in())


def queues_of(arguments: list[str]) -> list[str]:
    return arguments[arguments.index("--queues") + 1].split(",")


def test_jobs_get_their_grace_time(manifests: list[Manifest], settings: dict[str, str]) -> None:
    grace = float(settings["CORRAL_GRACE_SECONDS"])
    for name in OURS:
        pod = pods(manifests)[name]
        before = container(pod).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["spec"]["terminationGracePeriodSeconds"] >= before + grace + MARGIN_SECONDS + 5


def test_pods_have_no_right_that_they_do_not_need(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        security, own = pod["spec"]["securityContext"], container(pod)["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == (10001 if name in OURS else 999), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert own == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        assert {"requests", "limits"} == set(container(pod)["resources"]), name
        assert "memory" in container(pod)["resources"]["limits"], name
    (account,) = of_kind(manifests, "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    (namespace,) = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_what_is_mounted_exists_and_what_is_written_is_writable(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        maker = next(
            m for m in of_kind(manifests, "Deployment", "StatefulSet") if m["metadata"]["name"] == name
        )
        volumes |= {c["metadata"]["name"] for c in maker["spec"].get("volumeClaimTemplates", [])}
        mounts = {mount["mountPath"]: mount for mount in container(pod)["volumeMounts"]}
        assert {mount["name"] for mount in mounts.values()} == volumes
        assert "/tmp" in mounts
        assert ("/data" if name == "redis" else "/var/lib/corral") in mounts


def test_every_setting_is_one(settings: dict[str, str]) -> None:
    files = {f"{name}_FILE" for name in secret_names()}
    assert settings.keys() <= (known_names() - secret_names()) | files


def test_every_secret_file_is_a_key_of_the_template_that_is_mounted(
    manifests: list[Manifest], settings: dict[str, str]
) -> None:
    keys = {m["metadata"]["name"]: set(m["stringData"]) for m in template()}
    wanted = [value for name, value in settings.items() if name.endswith("_FILE")]
    assert wanted
    for name in OURS:
        own = container(pods(manifests)[name]).get("env", [])
        assert {variable["name"] for variable in own} <= {f"{name}_FILE" for name in secret_names()}
        assert not {variable["name"] for variable in own} & settings.keys()
        offered = files_of(pods(manifests)[name], keys)
        assert {*wanted, *(variable["value"] for variable in own)} <= offered, name
    dashboard = container(pods(manifests)["dashboard"])
    assert [variable["name"] for variable in dashboard["env"]] == ["CORRAL_DASHBOARD_USERS_FILE"]
    redis = pods(manifests)["redis"]
    assert "/run/secrets/redis/password" in files_of(redis, keys)
    assert "/run/secrets/redis/password" in container(redis)["args"][0]


def files_of(pod: Manifest, keys: dict[str, set[str]]) -> set[str]:
    """Where the pod's container finds the secrets."""
    secrets = {v["name"]: v["secret"] for v in pod["spec"]["volumes"] if "secret" in v}
    assert all(secret["defaultMode"] == 0o440 for secret in secrets.values())
    return {
        f"{mount['mountPath']}/{key}"
        for mount in container(pod)["volumeMounts"]
        if mount["name"] in secrets
        for key in keys[secrets[mount["name"]]["secretName"]]
    }


def test_other_references_to_secrets_and_settings_exist(manifests: list[Manifest]) -> None:
    keys = {m["metadata"]["name"]: set(m["stringData"]) for m in template()}
    for found in references(manifests, "credentials") + references(manifests, "secretTargetRef"):
        for reference in found if isinstance(found, list) else [found]:
            assert reference["key"] in keys[reference["name"]]
    maps = {m["metadata"]["name"] for m in of_kind(manifests, "ConfigMap")}
    assert {r["name"] for r in references(manifests, "configMapRef")} <= maps
    authentications = {m["metadata"]["name"] for m in of_kind(manifests, "TriggerAuthentication")}
    assert {r["name"] for r in references(manifests, "authenticationRef")} <= authentications


def references(node: Any, name: str) -> list[Any]:
    if isinstance(node, list):
        return [found for item in node for found in references(item, name)]
    if isinstance(node, dict):
        here = [node[name]] if name in node else []
        return here + [found for value in node.values() for found in references(value, name)]
    return []


def test_the_template_holds_no_secret() -> None:
    assert all(value == "" for manifest in template() for value in manifest["stringData"].values())


def test_nothing_may_talk_but_for_what_is_named(manifests: list[Manifest]) -> None:
    policies = {m["metadata"]["name"]: m["spec"] for m in of_kind(manifests, "NetworkPolicy")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(manifests).items()}
    ports = {name: container(pod)["ports"][0]["containerPort"] for name, pod in pods(manifests).items()}
    redis = [name for name in labels if selects(policies["to-redis"]["podSelector"], labels[name])]
    assert sorted(redis) == sorted(OURS)
    # What is let in is let in at a port where something listens.
    for name, spec in policies.items():
        for rule in spec.get("ingress", []):
            opened = {port["port"] for port in rule["ports"]}
            listening = {ports[pod] for pod in labels if selects(spec["podSelector"], labels[pod])}
            assert opened == listening, name
            assert all("podSelector" in peer or "namespaceSelector" in peer for peer in rule["from"]), name


def test_each_queue_is_scaled_where_it_is_served() -> None:
    for name, kind, queues in (
        ("hpa", "HorizontalPodAutoscaler", hpa_queues),
        ("keda", "ScaledObject", keda_queues),
    ):
        manifests = overlay(name)
        scalers = of_kind(manifests, kind)
        assert {s["spec"]["scaleTargetRef"]["name"] for s in scalers} == {"worker", "worker-images"}
        for scaler in scalers:
            served = queues_of(container(pods(manifests)[scaler["spec"]["scaleTargetRef"]["name"]])["args"])
            scaled = queues(scaler)
            assert set(scaled) <= set(served)
            assert set(served) - set(scaled) <= {"email"}  # its rate limit sets its pace
        processes = [container(pods(manifests)[n])["args"] for n in ("worker", "worker-images")]
        assert all(a[a.index("--processes") + 1] == "1" for a in processes)


def hpa_queues(scaler: Manifest) -> list[str]:
    metrics = [metric["external"]["metric"] for metric in scaler["spec"]["metrics"]]
    assert {metric["name"] for metric in metrics} == {"bullmq_queue_waiting"}
    return [metric["selector"]["matchLabels"]["queue"] for metric in metrics]


def keda_queues(scaler: Manifest) -> list[str]:
    (service,) = [s for s in of_kind(overlay("keda"), "Service") if s["metadata"]["name"] == "api"]
    (port,) = service["spec"]["ports"]
    found = []
    for trigger in scaler["spec"]["triggers"]:
        metadata = trigger["metadata"]
        url = re.fullmatch(
            r"http://api\.corral\.svc\.cluster\.local/api/v1/scaling/([\w-]+)", metadata["url"]
        )
        assert url is not None
        assert port["port"] == 80
        assert (metadata["valueLocation"], metadata["targetValue"]) == ("wantedProcesses", "1")
        found.append(url[1])
    return found


def test_redis_is_the_one_of_the_compose_file() -> None:
    ours = container(pods(overlay("small"))["redis"])
    theirs = read()["services"]["redis"]
    assert ours["image"] == theirs["image"]
    (script,) = ours["args"]
    (same,) = theirs["command"]
    same = same.replace("/run/secrets/redis_password", "/run/secrets/redis/password")
    sizes = r"--maxmemory (\w+)"
    assert re.sub(sizes, "", script).split() == re.sub(sizes, "", same).split()
