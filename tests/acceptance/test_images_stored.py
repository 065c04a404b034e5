"""Images from a request to an object store through real processes, with a store that fails once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from service import running_service

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


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("s3", {"fault": "503", "headers": {"Retry-After": "1"}}),
        # The image is there, the answer is not: the retry must find its own work.
        ("cloudflare", {"fault": "drop"}),
    ],
)
def test_an_image_is_stored_although_its_store_fails_once(
    tmp_path: Path, target: str, fault: dict[str, Any]
) -> None:
    with running_service(tmp_path / "data", CORRAL_IMAGE_TARGET=target) as service:
        httpx2.post(f"{service.sandbox}/faults", json={"provider": target, **fault}).raise_for_status()
        seen = service.until_ended(service.post("/process-image", PICTURE).json()["jobId"])

        assert (seen["status"], seen["attemptsMade"]) == ("completed", 2), seen
        images = seen["result"]["images"]
        assert [(i["width"], i["height"], i["format"]) for i in images][1] == (90, 90, "png")
        for image in images:
            content = httpx2.get(image["url"]).raise_for_status().content
            picture = read(content)
            assert (picture.width, picture.height) == (image["width"], image["height"])
            assert len(content) == image["bytes"]
        entries = httpx2.get(f"{service.sandbox}/outbox", params={"provider": target}).json()["entries"]
        stored = {entry.get("key") or entry["id"] for entry in entries}
        assert len(stored) == 2
