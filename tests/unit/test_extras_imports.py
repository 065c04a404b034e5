"""Each part of Corral is imported with its own extras alone: the modules of the others are made absent."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from corral.errors import ConfigurationError
from corral.extras import MODULES
from corral.worker.target import load_worker


@pytest.mark.parametrize(
    ("extras", "statement"),
    [
        ("", "from corral import Queue, Worker, Flow, Webhook; import corral.testing"),
        ("worker", "import corral.cli.worker, corral.worker.process, corral.cli.doctor, corral.cli.queues"),
        ("worker", "from corral.queues import built_in; built_in()"),
        (
            "worker mail",
            "from corral.queues import check_runnable; check_runnable('email'); import corral.mail.render",
        ),
        ("worker push encryption", "from corral.providers import apns, fcm, webpush"),
        ("worker server encryption", "import corral.cli.api, corral.cli.dashboard"),
    ],
)  # fmt: skip
def test_it_is_imported_without_the_other_extras(extras: str, statement: str) -> None:
    own = {name for extra in extras.split() for name in MODULES[extra]}
    others = {name for names in MODULES.values() for name in names} - own
    hide = f"import sys; sys.modules.update(dict.fromkeys({sorted(others)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{hide}; {statement}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_worker_of_a_queue_whose_extra_is_absent_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mrml" else found(name))
    with pytest.raises(ConfigurationError, match=r"The queue 'email' needs mrml, .* 'corral\[mail\]'"):
        load_worker(None, ["email"], 1)
