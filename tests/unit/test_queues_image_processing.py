"""The data of an image job, its paths, and the time it gives to rendering."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.data import decoder
from corral.errors import InvalidData
from corral.policy import Priority
from corral.queues.image_processing import (
    RENDER_SECONDS,
    RESERVE,
    ImageJob,
    ImageResult,
    ImageSize,
    SourceImage,
    StoredImage,
    image_path,
    queue,
    render_seconds,
    safe_part,
    wanted,
)

GOOD: dict[str, Any] = {
    "imageUrl": "https://images.example.com/photo.jpg",
    "userId": "user-42",
    "type": "profile",
    "sizes": [{"width": 150, "height": 150, "format": "webp"}, {"width": 1, "height": 4096, "format": "png"}],
}
decode = decoder(ImageJob)


def with_(**changes: object) -> bytes:
    return json.dumps(GOOD | changes).encode()


def with_size(**changes: object) -> bytes:
    return with_(sizes=[{"width": 10, "height": 10, "format": "jpeg"} | changes])


def test_the_documented_job_is_accepted() -> None:
    job = decode(with_())
    assert (job.image_url, job.user_id, job.type) == (GOOD["imageUrl"], "user-42", "profile")
    assert job.sizes[0] == ImageSize(width=150, height=150, format="webp")


def test_a_size_may_differ_from_what_the_job_says_of_enlarging() -> None:
    size = {"width": 9, "height": 9, "format": "webp"}
    job = decode(with_(enlarge=True, sizes=[size, size | {"enlarge": False}]))
    assert [one.enlarge for one in wanted(job)] == [True, False]
    names = [image_path(job, one).rpartition("/")[2] for one in job.sizes]
    assert names == ["9x9-enlarged.webp", "9x9.webp"]
    assert not wanted(decode(with_()))[0].enlarge


@pytest.mark.parametrize("field", GOOD)
def test_every_field_is_required(field: str) -> None:
    with pytest.raises(InvalidData, match=field):
        decode(json.dumps({k: v for k, v in GOOD.items() if k != field}).encode())


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (with_(imageUrl="ftp://images.example.com/photo.jpg"), r"\$\.imageUrl"),
        (with_(imageUrl="file:///etc/passwd"), r"\$\.imageUrl"),
        (with_(imageUrl="photo.jpg"), r"\$\.imageUrl"),
        (with_(imageUrl="https://example.com/" + "x" * 2048), r"\$\.imageUrl"),
        (with_(imageUrl=7), r"\$\.imageUrl"),
        (with_(userId=""), r"\$\.userId"),
        (with_(userId="u" * 256), r"\$\.userId"),
        (with_(type="banner"), r"\$\.type"),
        (with_(sizes=[]), r"\$\.sizes"),
        (with_(sizes=GOOD["sizes"] * 5), r"\$\.sizes"),
        (with_size(width=0), r"\$\.sizes\[0\]\.width"),
        (with_size(height=4097), r"\$\.sizes\[0\]\.height"),
        (with_size(width="10"), r"\$\.sizes\[0\]\.width"),
        (with_size(format="gif"), r"\$\.sizes\[0\]\.format"),
        (with_size(format=None), r"\$\.sizes\[0\]\.format"),
        (with_size(format="avif", height=2049), r"avif is at most 2048 pixels.*\$\.sizes\[0\]"),
        (with_size(fit="fill"), r"\$\.sizes\[0\]\.fit"),
        (with_size(enlarge="yes"), r"\$\.sizes\[0\]\.enlarge"),
    ],
)
def test_wrong_data_is_refused_with_the_path_of_the_field(raw: bytes, path: str) -> None:
    with pytest.raises(InvalidData, match=path):
        decode(raw)


def test_the_policy_is_the_documented_one() -> None:
    assert (queue.name, queue.priority, queue.timeout) == ("image-processing", Priority.MEDIUM, 30)
    assert queue.retry.attempts == 3
    assert [queue.retry.wait_after(n) for n in (1, 2)] == [5, 10]
    assert list(queue.jobs) == ["process"]


def test_the_result_has_the_documented_names() -> None:
    result = ImageResult(
        images=[StoredImage(url="u", width=1, height=2, format="webp", bytes=3)],
        source=SourceImage(width=4, height=5, format="png"),
    )
    assert msgspec.to_builtins(result) == {
        "images": [{"url": "u", "width": 1, "height": 2, "format": "webp", "bytes": 3}],
        "source": {"width": 4, "height": 5, "format": "png"},
    }


def path_of(user_id: str, **changes: object) -> str:
    job = decode(with_(userId=user_id, **changes))
    return image_path(job, job.sizes[0])


def test_a_path_says_type_user_source_and_size() -> None:
    assert path_of("user-42") == "profile/user-42/dfe9109cefaec242/150x150.webp"


def test_a_path_depends_on_the_jobs_data_alone() -> None:
    assert path_of("user-42") == path_of("user-42")
    others = {
        path_of("user-43"),
        path_of("user-42", type="proof"),
        path_of("user-42", imageUrl="https://images.example.com/other.jpg"),
        path_of("user-42", sizes=[{"width": 150, "height": 151, "format": "webp"}]),
        path_of("user-42", sizes=[{"width": 150, "height": 150, "format": "jpeg"}]),
    }
    assert len(others | {path_of("user-42")}) == 6


@pytest.mark.parametrize(
    ("type_", "asked", "name"),
    [
        ("profile", {}, "150x150.webp"),
        ("profile", {"fit": "cover"}, "150x150.webp"),
        ("profile", {"fit": "contain"}, "150x150-contain.webp"),
        ("moment", {"fit": "contain"}, "150x150.webp"),
        ("moment", {"fit": "cover", "enlarge": True}, "150x150-cover-enlarged.webp"),
        ("proof", {"format": "avif"}, "150x150.avif"),
    ],
)
def test_the_same_sides_made_otherwise_have_another_name(
    type_: str, asked: dict[str, object], name: str
) -> None:
    size = {"width": 150, "height": 150, "format": "webp"} | asked
    assert path_of("user-42", type=type_, sizes=[size]).rpartition("/")[2] == name


@pytest.mark.parametrize(
    "user_id",
    [
        "../../etc/passwd",
        "..",
        ".",
        "/",
        "a/b",
        "a\\b",
        "a\0b",
        "a b",
        "Jörg",
        "用户",
        "%2e%2e",
        "-",
        "a" * 65,
        " ",
    ],
)
def test_no_user_id_leads_a_path_astray(user_id: str) -> None:
    parts = path_of(user_id).split("/")
    assert len(parts) == 4
    assert parts[1] not in {"", ".", ".."}
    assert all(part.isascii() and not set(part) & set("\\\0 %?#") for part in parts)


@given(a=st.text(max_size=80), b=st.text(max_size=80))
def test_different_users_never_share_a_folder(a: str, b: str) -> None:
    assert (safe_part(a) == safe_part(b)) == (a == b)


@given(text=st.text(max_size=80))
def test_a_cleaned_id_is_no_plain_one(text: str) -> None:
    part = safe_part(text)
    assert part == text or "." in part
    assert safe_part(part) != part or part == text


@pytest.mark.parametrize(
    ("deadline", "seconds"),
    [(None, RENDER_SECONDS), (1030.0, RENDER_SECONDS), (1010.0, 10 - RESERVE), (1002.0, 1.0), (900.0, 1.0)],
)
def test_rendering_leaves_time_to_store_the_results(deadline: float | None, seconds: float) -> None:
    assert render_seconds(deadline, 1000.0) == seconds
