"""deploy/compose.yaml and compose.providers.yaml: valid by the specification, and true to Corral."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose_file import DEPLOY, read, seconds
from corral.cli import app
from corral.dashboard.users import Users
from corral.settings import Settings, known_names, secret_names
from corral.worker.supervise import MARGIN_SECONDS

FILES = ("compose.yaml", "compose.providers.yaml")
OURS = ("api", "dashboard", "job-worker")
#: One of somebody's own.
IMAGE = "registry.example.com/corral:1.2.3"
#: Made by deploy/make-secrets.sh.
MADE = {"redis_password", "api_keys", "dashboard_users", "metrics_key", "grafana_password"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read()


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


@pytest.mark.parametrize("name", FILES)
@pytest.mark.skipif(find_spec("compose_spec") is None, reason="compose-spec has no wheel for this machine")
def test_it_is_valid_by_the_specification(name: str) -> None:
    from compose_spec import PyCompose

    # Merged by PyYAML: the parser follows no merge within a merge.
    PyCompose.from_yaml(yaml.safe_dump(read(name))).validate()


def test_every_service_is_there(services: dict[str, Any]) -> None:
    assert set(services) == {"redis", *OURS, "prometheus", "grafana"}
    assert {name for name, said in services.items() if said.get("profiles")} == {"prometheus", "grafana"}


def test_every_image_is_pinned_to_a_version(services: dict[str, Any]) -> None:
    for name, said in services.items():
        assert re.search(r":v?\d+\.\d+\.\d+(-\w+)?$", said["image"]), name


def test_no_container_has_rights_that_it_does_not_need(services: dict[str, Any]) -> None:
    for name, said in services.items():
        assert said["read_only"] is True, name
        assert said["cap_drop"] == ["ALL"], name
        assert "cap_add" not in said, name
        assert said["security_opt"] == ["no-new-privileges:true"], name
        assert any(mount.startswith("/tmp:") for mount in said["tmpfs"]), name
        assert not str(said.get("user", "10001")).startswith("0"), name  # ours have the image's user


def test_every_container_is_bounded_and_watched(services: dict[str, Any]) -> None:
    for name, said in services.items():
        assert said["restart"] == "unless-stopped", name
        assert {"cpus", "memory", "pids"} <= set(said["deploy"]["resources"]["limits"]), name
        assert {"max-size", "max-file"} == set(said["logging"]["options"]), name
        assert "healthcheck" in said or name in OURS, name  # ours have the image's


def test_workers_scale(services: dict[str, Any]) -> None:
    worker = services["job-worker"]
    assert not {"container_name", "ports", "hostname"} & set(worker)
    assert int(worker["deploy"]["replicas"]) >= 1


def test_what_is_open_is_open_on_this_machine_alone(services: dict[str, Any]) -> None:
    ports = [port for said in services.values() for port in said.get("ports", [])]
    assert len(ports) == 4
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert services["redis"]["networks"] == ["data"]
    assert read()["networks"]["data"] == {"internal": True}


def test_the_commands_are_real_and_listen_where_they_are_looked_for(services: dict[str, Any]) -> None:
    for name, option in (("api", "--port"), ("dashboard", "--port"), ("job-worker", "--health-port")):
        command = [str(part) for part in services[name]["command"]]
        app.parse_args(command, print_error=False, exit_on_error=False)
        port = command[command.index(option) + 1]
        assert services[name]["environment"]["HEALTH_URL"] == f"http://127.0.0.1:{port}/healthz"
    assert services["api"]["ports"][0].endswith(":3000")
    assert services["dashboard"]["ports"][0].endswith(":3002")


def test_every_variable_is_a_setting(services: dict[str, Any]) -> None:
    variables = {v for name in OURS for v in services[name]["environment"]} - {"HEALTH_URL"}
    providers = read("compose.providers.yaml")["services"]
    assert set(providers) == set(OURS)
    variables |= {v for said in providers.values() for v in said["environment"]}
    files = {f"{name}_FILE" for name in secret_names()}
    assert variables <= known_names() | files
    # No secret stands in the file itself.
    assert not variables & secret_names()


def test_the_lines_of_the_example_are_read_by_the_file_or_are_settings() -> None:
    text = (DEPLOY / ".env.example").read_text()
    lines = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", text, re.MULTILINE))
    variables = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", (DEPLOY / "compose.yaml").read_text()))
    assert variables.keys() <= lines.keys()
    assert {name: lines[name] for name in variables} == variables  # the value shown is the default
    assert lines.keys() - variables.keys() <= known_names() - secret_names()


def test_jobs_get_their_grace_time(services: dict[str, Any]) -> None:
    for name in OURS:
        grace = float(services[name]["environment"]["CORRAL_GRACE_SECONDS"])
        assert seconds(services[name]["stop_grace_period"]) >= grace + MARGIN_SECONDS + 5
    assert Settings.model_fields["grace_seconds"].default == 30


def test_ours_wait_for_redis(services: dict[str, Any]) -> None:
    for name in OURS:
        assert services[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}


def test_redis_has_room_to_rewrite_its_file(services: dict[str, Any]) -> None:
    (script,) = services["redis"]["command"]
    memory = re.search(r"--maxmemory (\d+)mb", script)
    limit = services["redis"]["deploy"]["resources"]["limits"]["memory"]
    assert memory is not None
    assert int(limit.removesuffix("g")) * 1024 >= 2 * int(memory[1])


def test_redis_keeps_what_it_was_given(services: dict[str, Any]) -> None:
    (script,) = services["redis"]["command"]
    for option in ("--appendonly yes", "--maxmemory-policy noeviction", "--dir /data"):
        assert option in script
    assert "redis-data:/data" in services["redis"]["volumes"]
    assert "requirepass" not in script.split("exec redis-server", 1)[1]  # not on a command line


def test_every_secret_is_mounted_where_it_is_read() -> None:
    base, providers = read(), read("compose.providers.yaml")
    assert set(base["secrets"]) == MADE
    for data in (base, providers):
        for name, said in data["services"].items():
            mounted = {s if isinstance(s, str) else s["source"] for s in said.get("secrets", [])}
            assert mounted <= set(data["secrets"]), name
            used = re.findall(r"/run/secrets/(\w+)", yaml.dump(said))
            targets = {s for s in said.get("secrets", []) if isinstance(s, str)}
            assert set(used) == targets, name
        for name, said in data["secrets"].items():
            assert said == {"file": f"./secrets/{name}"}
    # Read by group 10001, which containers of other images are given.
    for name in ("redis", "prometheus", "grafana"):
        assert base["services"][name]["group_add"] == ["10001"]


def test_what_is_mounted_from_here_is_here(services: dict[str, Any]) -> None:
    for name, said in services.items():
        for mount in said.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).exists(), f"{name}: {source}"
            else:
                assert source in read()["volumes"]


def test_prometheus_finds_the_services_and_its_key(services: dict[str, Any]) -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    (static,) = jobs["corral-api"]["static_configs"]
    assert static["targets"] == ["api:3000"]
    (dns,) = jobs["corral-worker"]["dns_sd_configs"]
    assert dns["names"] == ["job-worker"]
    assert str(dns["port"]) in services["job-worker"]["command"]
    (secret,) = services["prometheus"]["secrets"]
    for job in jobs.values():
        assert f"/etc/prometheus/{job['authorization']['credentials_file']}" == secret["target"]


def test_networks_are_declared(compose: dict[str, Any]) -> None:
    for said in compose["services"].values():
        assert set(said["networks"]) <= set(compose["networks"])


def test_grafana_finds_prometheus_and_the_board(services: dict[str, Any]) -> None:
    folder = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert services["prometheus"]["ports"][0].endswith(":9090")
    (provider,) = yaml.safe_load((folder / "dashboards" / "corral.yaml").read_text())["providers"]
    board = f"./grafana/corral.json:{provider['options']['path']}/corral.json:ro"
    assert board in services["grafana"]["volumes"]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script, at a place of its own."""
    (tmp_path / "deploy").mkdir()
    copy = tmp_path / "deploy" / "make-secrets.sh"
    copy.write_bytes((DEPLOY / "make-secrets.sh").read_bytes())
    return copy


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def run(script: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """Run it. Returns also what is in the files afterwards."""
    # PATH holds what every system has, and neither an engine nor a corral.
    path = script.parent.parent / "bin"
    path.mkdir(exist_ok=True)
    for tool in ("cat", "chgrp", "chmod", "dirname", "mkdir", "od", "sed", "tr"):
        found = shutil.which(tool)
        assert found is not None
        (path / tool).unlink(missing_ok=True)
        (path / tool).symlink_to(found)
    done = subprocess.run(
        ["/bin/sh", str(script)],
        env={"PATH": str(path), "PYTHONPATH": os.environ.get("PYTHONPATH", "")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, {file.name: file.read_text() for file in (script.parent / "secrets").iterdir()}


def test_the_script_makes_the_secrets_once(script: Path, tmp_path: Path) -> None:
    corral = program(tmp_path / "corral", f'exec "{sys.executable}" -m corral "$@"')
    done, made = run(script, CORRAL=str(corral))
    assert done.returncode == 0, done.stderr
    assert set(made) == MADE
    folder = script.parent / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o333 == 0 for file in folder.iterdir())  # nobody writes or runs them
    name, secret, role = made["api_keys"].split(",")[1].split(":")
    assert (name, secret, role) == ("metrics", made["metrics_key"], "read")
    assert re.fullmatch(r"[0-9a-f]{48}", made["redis_password"])
    again, kept = run(script, CORRAL=str(corral))
    assert (again.returncode, again.stdout, kept) == (0, "", made)


def test_the_dashboards_first_user_signs_in_with_the_password_that_is_shown_once(
    script: Path, tmp_path: Path
) -> None:
    """By the Corral in the image, with an engine that stands for docker."""
    (script.parent / ".env").write_text(f"WORKERS=3\nIMAGE={IMAGE}\n")
    (tmp_path / "bin").mkdir()
    engine = f"""
    [ "$*" = "image inspect {IMAGE}" ] && exit 0
    [ "$*" = "run --rm --interactive --network none {IMAGE} dashboard password" ] || exit 1
    exec "{sys.executable}" -m corral dashboard password"""
    program(tmp_path / "bin" / "podman", engine)
    done, made = run(script)
    assert done.returncode == 0, done.stderr
    shown = re.search(r"sign in as operator with ([0-9a-f]{48}) ", done.stdout)
    assert shown is not None
    assert not [name for name, text in made.items() if shown[1] in text]
    assert made["dashboard_users"].startswith("operator:$argon2id$v=19$m=65536,t=3,p=4$")  # dear to guess
    user = Users.parse(made["dashboard_users"]).sign_in("operator", shown[1])
    assert user is not None
    assert user.role == "admin"


def test_without_a_corral_the_script_says_what_to_do_and_makes_all_else(script: Path) -> None:
    done, made = run(script)
    assert done.returncode == 1
    assert set(made) == MADE - {"dashboard_users"}
    image = read()["services"]["dashboard"]["image"]
    assert f"neither a corral on PATH nor the image {image}" in done.stderr
    assert "docker compose -f deploy/compose.yaml build" in done.stderr
