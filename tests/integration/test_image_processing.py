"""Image jobs from a real Redis through a real worker to files, with sources served on loopback."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from corral import Job, Worker
from corral.bullmq.connection import close_shared_clients
from corral.providers import close_providers
from corral.queues.image_processing import queue
from corral.sandbox import serve
from pictures import RED, WHITE, announced, near, noise, oriented, pixel, quadrants, read, with_gps


class Web:
    """Serves what is put into `files`, as whatever type it says."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.gets: list[str] = []
        self.port = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def put(self, path: str, content: bytes, media_type: str = "image/jpeg") -> str:
        self.files[path] = (media_type, content)
        return self.url(path)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        self.gets.append(path)
        media_type, content = self.files.get(path, ("text/plain", b"not here"))
        status = "200 OK" if path in self.files else "404 Not Found"
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(content)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + content
        )
        await writer.drain()
        writer.close()


@pytest.fixture
async def web(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Web]:
    web = Web()
    server = await asyncio.start_server(web.answer, "127.0.0.1", 0)
    web.port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("CORRAL_FETCH_ALLOW", f"127.0.0.1:{web.port}")
    async with server:
        yield web


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "images"


@pytest.fixture(autouse=True)
async def service(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CORRAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CORRAL_PUBLIC_URL", "https://api.example.com")
    yield
    await queue.close()
    await close_providers()
    await close_shared_clients()


def job_data(url: str, *sizes: tuple[int, int, str], **changes: object) -> dict[str, Any]:
    wanted = [{"width": w, "height": h, "format": f} for w, h, f in sizes or [(50, 50, "webp")]]
    return {"imageUrl": url, "userId": "user-42", "type": "moment", "sizes": wanted} | changes


async def run(data: dict[str, Any]) -> Job:
    """Add the job, let a worker run until nothing is left, and look again."""
    job = await queue.add("process", data)
    await Worker(queue).run(until_empty=True)
    found = await queue.get(job.id)
    assert found is not None
    return found


def urls(job: Job) -> list[str]:
    return [image["url"] for image in job.result_value["images"]]


async def test_a_photograph_becomes_files_with_urls(web: Web, folder: Path) -> None:
    url = web.put("/photo", oriented(with_gps(quadrants(1200, 800).rot270()), 6))
    job = await run(job_data(url, (600, 600, "webp"), (150, 150, "jpeg"), (30, 30, "png")))
    assert (job.status, job.progress, job.attempts_made) == ("completed", 100, 1)
    assert job.result_value["source"] == {"width": 1200, "height": 800, "format": "jpeg"}
    images = job.result_value["images"]
    assert [(i["width"], i["height"], i["format"]) for i in images] == [
        (600, 400, "webp"),
        (150, 100, "jpeg"),
        (30, 20, "png"),
    ]
    for image in images:
        prefix, _, path = image["url"].partition("/images/")
        assert prefix == "https://api.example.com"
        content = (folder / path).read_bytes()
        assert len(content) == image["bytes"]
        picture = read(content)
        assert (picture.width, picture.height) == (image["width"], image["height"])
        assert near(pixel(picture, 0.2, 0.2), RED, 12)
        assert near(pixel(picture, 0.8, 0.8), WHITE, 12)
        assert b"ExampleCam" not in content
    assert web.gets == ["/photo"]


async def test_a_profile_picture_is_cropped_to_its_frame(web: Web) -> None:
    url = web.put("/photo", quadrants(1200, 800).jpegsave_buffer())
    job = await run(job_data(url, (100, 100, "webp"), (100, 50, "webp"), type="profile"))
    assert [(i["width"], i["height"]) for i in job.result_value["images"]] == [(100, 100), (100, 50)]


async def test_a_size_says_how_it_is_fitted_and_whether_it_is_enlarged(web: Web, folder: Path) -> None:
    data = job_data(web.put("/photo", quadrants(120, 80).pngsave_buffer(), "image/png"))
    data["sizes"] = [
        {"width": 60, "height": 60, "format": "png"} | extra
        for extra in ({}, {"fit": "contain"}, {"fit": "cover"}, {"width": 240, "height": 240})
    ] + [{"width": 240, "height": 240, "format": format_, "enlarge": True} for format_ in ("png", "avif")]
    job = await run(data)
    images = job.result_value["images"]
    assert [(i["width"], i["height"], i["format"]) for i in images] == [
        (60, 40, "png"),
        (60, 40, "png"),
        (60, 60, "png"),
        (120, 80, "png"),
        (240, 160, "png"),
        (240, 160, "avif"),
    ]
    assert [url.rpartition("/")[2] for url in urls(job)] == [
        "60x60.png",
        "60x60.png",
        "60x60-cover.png",
        "240x240.png",
        "240x240-enlarged.png",
        "240x240-enlarged.avif",
    ]
    for url in urls(job):
        picture = read((folder / url.partition("/images/")[2]).read_bytes())
        assert near(pixel(picture, 0.2, 0.2), RED, 12)
        assert near(pixel(picture, 0.8, 0.8), WHITE, 12)


async def test_the_same_job_again_overwrites_its_own_files(web: Web, folder: Path) -> None:
    data = job_data(web.put("/photo", quadrants(200, 100).jpegsave_buffer()), (50, 50, "png"), (9, 9, "png"))
    first = await run(data)
    files = sorted(folder.rglob("*.png"))
    web.put("/photo", noise(200, 100).jpegsave_buffer())
    second = await run(data)
    assert [i["url"] for i in first.result_value["images"]] == [
        i["url"] for i in second.result_value["images"]
    ]
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == files
    assert not near(pixel(read(files[0].read_bytes()), 0.2, 0.2), RED)


@pytest.mark.parametrize("user_id", ["../../../escape", "a/b", "..", "Jörg 用户", "user\\42"])
async def test_no_user_id_leaves_the_folder(web: Web, folder: Path, tmp_path: Path, user_id: str) -> None:
    url = web.put("/photo", quadrants(20, 20).pngsave_buffer(), "image/png")
    job = await run(job_data(url, userId=user_id))
    assert job.status == "completed"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1
    assert files[0].parent.parent.parent == folder / "moment"


HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "text": ("image/jpeg", lambda: b"just some text, no picture at all\n" * 20, "fetch|of an unknown type"),
    "svg": ("image/png", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "fetch|an SVG drawing"),
    "truncated": ("image/jpeg", lambda: noise(300, 300).jpegsave_buffer()[:9000], "damaged or incomplete"),
    **{
        f"{name} bomb": (
            f"image/{name}",
            functools.partial(announced, name),
            "limit of 50 megapixels",
        )
        for name in ("jpeg", "png", "webp", "gif", "avif")
    },
    "zero": ("image/png", lambda: b"", "fetch|empty"),
    "heavy": ("image/png", lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * (20 * 2**20), "fetch"),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_what_is_no_good_picture_goes_to_the_dead_letters_at_once(
    web: Web, folder: Path, kind: str
) -> None:
    media_type, make, reason = HOSTILE[kind]
    job = await run(job_data(web.put("/file", bytes(make()), media_type)))
    assert (job.status, job.attempts_made) == ("failed", 1)
    assert any(part in (job.failed_reason or "") for part in reason.split("|")), job.failed_reason
    assert not folder.exists()


async def test_a_missing_picture_goes_to_the_dead_letters_at_once(web: Web) -> None:
    job = await run(job_data(web.url("/nothing")))
    assert (job.status, job.attempts_made) == ("failed", 1)


async def test_an_address_inside_is_not_asked(web: Web) -> None:
    other = await asyncio.start_server(web.answer, "127.0.0.1", 0)
    async with other:
        port = other.sockets[0].getsockname()[1]
        job = await run(job_data(f"http://127.0.0.1:{port}/photo"))
    assert (job.status, job.attempts_made, web.gets) == ("failed", 1, [])


async def test_a_failed_store_is_tried_again(web: Web, folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_bytes(b"a file where the folder should be")
    job = await run(job_data(web.put("/photo", quadrants(20, 20).pngsave_buffer(), "image/png")))
    # One error of the target's own class, not a group of them: else the worker could not tell.
    assert (job.status, job.attempts_made, job.progress) == ("delayed", 1, 60)
    assert (job.failed_reason or "").startswith("folder: ")


async def test_results_go_to_supabase_storage_when_it_is_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as sandbox:
        monkeypatch.setenv("CORRAL_SANDBOX", "1")
        monkeypatch.setenv("CORRAL_SANDBOX_URL", sandbox.url)
        monkeypatch.setenv("CORRAL_IMAGE_TARGET", "supabase")
        data = job_data(
            "https://images.example.com/photo.jpg", (80, 80, "webp"), (40, 40, "jpeg"), type="proof"
        )
        job = await run(data)
        assert job.status == "completed", job.failed_reason
        assert [url.rpartition("/")[2] for url in urls(job)] == ["80x80.webp", "40x40.jpg"]
        for url, image in zip(urls(job), job.result_value["images"], strict=True):
            assert len(await download(url)) == image["bytes"]
        await close_providers()


@pytest.mark.parametrize("target", ["s3", "cloudflare"])
async def test_results_go_to_the_object_store_that_is_the_target(
    monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    with serve() as sandbox:
        monkeypatch.setenv("CORRAL_SANDBOX", "1")
        monkeypatch.setenv("CORRAL_SANDBOX_URL", sandbox.url)
        monkeypatch.setenv("CORRAL_IMAGE_TARGET", target)
        data = job_data("https://images.example.com/photo.jpg", (80, 80, "webp"), (80, 80, "webp"))
        first, again = await run(data), await run(data)
        assert first.status == again.status == "completed", again.failed_reason
        assert urls(first) == urls(again)
        for url, image in zip(urls(first), first.result_value["images"], strict=True):
            assert len(await download(url)) == image["bytes"]
        await close_providers()


async def download(url: str) -> bytes:
    import httpx2

    async with httpx2.AsyncClient() as client:
        answer = await client.get(url)
        assert answer.status_code == 200
        return answer.content
