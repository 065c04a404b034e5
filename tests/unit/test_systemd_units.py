"""The systemd units: what they start exists, and they stop, restart and protect as the documents say."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from corral.cli import app
from corral.settings import Settings, known_names
from corral.worker.restarts import EXIT_CONFIGURATION
from corral.worker.supervise import MARGIN_SECONDS

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
UNITS = ("corral-worker", "corral-api", "corral-dashboard")
PROGRAM = "/opt/corral/bin/corral"

#: What takes rights away, and how.
HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
}


def read(unit: str) -> dict[str, dict[str, list[str]]]:
    """Sections to names to values; a name may come again."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in (FOLDER / f"{unit}.service").read_text().splitlines():
        if not line.strip() or line.startswith(("#", ";")):
            continue
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
            continue
        name, equals, value = line.partition("=")
        assert equals, f"{unit}: {line!r} is no setting"
        assert name.isalnum(), f"{unit}: {line!r} is no setting"
        section.setdefault(name, []).append(value)
    return found


def service(unit: str) -> dict[str, str]:
    """The last value of each setting of the service."""
    return {name: values[-1] for name, values in read(unit)["Service"].items()}


@pytest.mark.parametrize("unit", UNITS)
def test_what_it_starts_is_a_command_of_ours(unit: str) -> None:
    assert set(read(unit)) == {"Unit", "Service", "Install"}
    program, *arguments = shlex.split(service(unit)["ExecStart"])
    assert program == PROGRAM
    app.parse_args(arguments, print_error=False, exit_on_error=False)  # raises for what it does not know


@pytest.mark.parametrize("unit", UNITS)
def test_it_needs_no_notification_and_names_settings_that_are_there(unit: str) -> None:
    assert service(unit)["Type"] == "exec"
    names = [value.partition("=")[0] for value in read(unit)["Service"]["Environment"]]
    assert set(names) <= known_names()


def test_workers_get_one_sigterm_each_and_the_whole_grace_time() -> None:
    worker = service("corral-worker")
    assert (worker["KillMode"], worker["KillSignal"]) == ("mixed", "SIGTERM")
    grace: float = Settings.model_fields["grace_seconds"].default
    assert float(worker["TimeoutStopSec"]) >= grace + MARGIN_SECONDS + 5


@pytest.mark.parametrize("unit", UNITS)
def test_a_wrong_setting_is_not_tried_again_and_all_else_is(unit: str) -> None:
    assert service(unit)["Restart"] == "on-failure"
    assert service(unit)["RestartPreventExitStatus"] == str(EXIT_CONFIGURATION)


def test_a_worker_process_that_takes_too_much_does_not_end_the_others() -> None:
    assert service("corral-worker")["OOMPolicy"] == "continue"


@pytest.mark.parametrize("unit", UNITS)
def test_memory_is_limited_and_rights_are_taken_away(unit: str) -> None:
    settings = service(unit)
    assert {"MemoryHigh", "MemoryMax", "TasksMax", "LimitNOFILE"} <= set(settings)
    assert settings["DynamicUser"] == "yes"
    assert {name: settings.get(name) for name in HARDENING} == HARDENING


def test_all_share_their_user_and_their_files() -> None:
    shared = ("User", "StateDirectory", "EnvironmentFile", "WorkingDirectory")
    assert len({tuple(service(unit)[name] for name in shared) for unit in UNITS}) == 1


def test_what_is_served_is_served_on_this_machine_alone() -> None:
    for unit, port in (("corral-api", 3000), ("corral-dashboard", 3002)):
        assert service(unit)["ExecStart"].endswith(f"--host 127.0.0.1 --port {port}")


def test_the_scaler_can_read_the_hosts_memory() -> None:
    assert "ProcSubset" not in service("corral-worker")


# The tests above read the units in any case; this one asks systemd too, where it is.
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_it(unit: str, tmp_path: Path) -> None:
    copy = tmp_path / f"{unit}.service"
    copy.write_text((FOLDER / copy.name).read_text().replace(PROGRAM, "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],  # wherever it is
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert copy.name not in checked.stderr  # it may speak of other units of this machine
