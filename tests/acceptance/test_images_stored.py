"""Images from a request to an object store through real processes, with a worker killed while it stores."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from service import Service, running_service, until

from pictures import read

PICTURE = {
    "imageUrl": "https://images.example.com/landscape.jpg",
    "userId": "user-42",
    "type": "moment",
    "sizes": [
        {"width": 160, "height": 120, "format": "webp"},
        {"width": 90, "height": 90, "format": "png", "fit": "cover"},
    ],
}


def received(service: Service, target: str) -> list[dict[str, Any]]:
    """The uploads that the store has had."""
    answer = httpx2.get(f"{service.sandbox}/outbox", params={"provider": target})
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries


def script(service: Service, **fault: Any) -> None:
    httpx2.post(f"{service.sandbox}/faults", json=fault).raise_for_status()


def check_images(seen: dict[str, Any]) -> None:
    """Every result is at its URL, of the sides and bytes it is said to have."""
    images = seen["result"]["images"]
    assert [image["format"] for image in images] == ["webp", "png"]
    assert (images[1]["width"], images[1]["height"]) == (90, 90)
    for image in images:
        content = httpx2.get(image["url"]).raise_for_status().content
        picture = read(content)
        assert (picture.width, picture.height) == (image["width"], image["height"])
        assert len(content) == image["bytes"]


@pytest.mark.parametrize("target", ["s3", "cloudflare"])
def test_a_worker_killed_while_it_stores_leaves_the_same_images_and_no_others(
    tmp_path: Path, target: str
) -> None:
    settings = {
        "CORRAL_IMAGE_TARGET": target,
        "CORRAL_LOCK_SECONDS": "2",
        "CORRAL_STALLED_SECONDS": "1",
    }
    with running_service(tmp_path / "data", **settings) as service:
        # Stored, but not answered: the worst moment to die.
        script(service, provider=target, fault="hang", times=2)
        job_id = service.post("/process-image", PICTURE).json()["jobId"]
        until(lambda: len(received(service, target)), lambda count: count == 2)
        for process in psutil.Process(service.process.pid).children():
            if "corral.worker.process" in process.cmdline():
                os.kill(process.pid, signal.SIGKILL)
        seen = service.until_ended(job_id)

        assert seen["status"] == "completed", seen
        check_images(seen)
        assert len({entry.get("key") or entry["id"] for entry in received(service, target)}) == 2
