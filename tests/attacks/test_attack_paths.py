# ruff: noqa: E501 - payloads are read best as rows
"""Ways out of the folder of finished images: by a name, a link, a normal form, over HTTP."""

from __future__ import annotations

import asyncio
import unicodedata
from pathlib import Path

import pytest
from http_service import ADMIN, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corral.providers.errors import ProviderPermanent, ProviderRetryable
from corral.providers.folder import FolderTarget


@pytest.fixture
def target(tmp_path: Path) -> FolderTarget:
    (tmp_path / "secret.png").write_bytes(b"secret")
    made = FolderTarget(tmp_path / "images", "http://127.0.0.1:3000/images")
    made.root.mkdir()
    return made


OUT = [
    "../secret.png", "..", ".", "", "/", "//", "/etc/passwd", "//etc/passwd", "a/../../secret.png", "a/./b.png",
    "a//b.png", "a/", "./a.png", "..\\secret.png", "a\\..\\..\\secret.png", "C:\\x.png", "\\\\host\\x.png",
    "a\0.png", "\0", "a/\0/b.png", "a/../b.png", "../images/../secret.png", "a/..", "../" * 40 + "etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("path", OUT, ids=ascii)
async def test_a_name_that_leads_out_of_the_folder_is_refused(target: FolderTarget, path: str) -> None:
    with pytest.raises(ProviderPermanent):
        target.locate(path)
    with pytest.raises(ProviderPermanent):
        await target.write(path, b"x")
    assert list(target.root.iterdir()) == []


#: Harmless as they are; each would lead out if somebody decoded, folded or normalised it.
LOOK_ALIKES = [
    "%2e%2e%2fsecret.png", "%2e%2e", "..%2fsecret.png", "%252e%252e%252fsecret.png", "..%c0%afsecret.png",
    "\uff0e\uff0e", "\uff0e\uff0e\uff0fsecret.png", "\u2024\u2024", "\u2025", "..\u2215secret.png", "..\u2044secret.png",
    "..\u29f8secret.png", "...", "....", ".. ", " ..", "..;", "~", "~root", "$HOME", "`id`", "|id", "nul", "con.png",
    "a:b.png", "-rf", ".htaccess",
]  # fmt: skip


@pytest.mark.parametrize("path", LOOK_ALIKES, ids=ascii)
async def test_a_name_in_another_form_is_a_plain_name(target: FolderTarget, path: str) -> None:
    await target.write(path, b"x")
    assert [entry.name for entry in target.root.iterdir()] == [path]
    assert {entry.name for entry in target.root.parent.iterdir()} == {"images", "secret.png"}
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        normal = unicodedata.normalize(form, path)
        if normal != path:  # what another form of it would be is judged by itself
            try:
                assert target.locate(normal).is_relative_to(target.root.resolve())
            except ProviderPermanent:
                continue


async def test_names_that_differ_in_case_or_form_are_different_files_or_the_same_content(
    target: FolderTarget,
) -> None:
    """On a file system that ignores case the second write replaces the first: never somebody else's file,
    since a user's folder holds a digest of his id."""
    for name in ("a/x.png", "A/x.png", "caf\u00e9/x.png", "cafe\u0301/x.png"):
        await target.write(name, name.encode())
        assert target.locate(name).read_bytes() == name.encode()


@pytest.mark.parametrize("absolute", [True, False])
async def test_a_link_to_the_outside_is_neither_written_through_nor_served(
    target: FolderTarget, absolute: bool
) -> None:
    outside = target.root.parent
    (target.root / "dir").symlink_to(outside if absolute else "..")
    (target.root / "file.png").symlink_to(outside / "secret.png")
    (target.root / "deep").mkdir()
    (target.root / "deep/dir").symlink_to(target.root / "dir")
    for path in ("dir/secret.png", "deep/dir/secret.png", "dir/new.png"):
        with pytest.raises(ProviderPermanent):
            await target.write(path, b"changed")
    await target.write("file.png", b"changed")  # the link itself is replaced
    assert (outside / "secret.png").read_bytes() == b"secret"
    assert not (target.root / "file.png").is_symlink()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    st.lists(
        st.sampled_from(["..", ".", "", "a", "~", "\0", "\\", "/", "%2e", "\uff0e\uff0e"]) | st.text(max_size=5),
        max_size=6,
    )
)  # fmt: skip
def test_no_text_at_all_leads_out_of_the_folder(target: FolderTarget, parts: list[str]) -> None:
    path = "/".join(parts)
    try:
        found = target.locate(path)
    except (ProviderPermanent, ValueError):
        return
    assert found.resolve().is_relative_to(target.root.resolve())
    assert found.resolve() != target.root.resolve()


async def test_a_name_as_long_as_a_page_is_an_error_of_the_job(target: FolderTarget) -> None:
    for path in ("a" * 5_000, "a/" * 5_000 + "x", "\u00e9" * 255):
        with pytest.raises((ProviderPermanent, ProviderRetryable)):
            await target.write(path, b"x")


async def test_a_traversal_in_a_url_serves_nothing(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent as it is, byte for byte: a client library would tidy it up."""
    monkeypatch.setattr(
        "corral.api.app.image_folder", lambda _: FolderTarget(tmp_path / "images", "http://x/images")
    )
    (tmp_path / "images").mkdir()
    (tmp_path / "secret.png").write_bytes(b"the secret")
    (tmp_path / "images/link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "images/up").symlink_to(tmp_path)
    (tmp_path / "images/good.png").write_bytes(b"a picture")
    paths = [
        "../secret.png", "..%2fsecret.png", "%2e%2e/secret.png", "%2e%2e%2fsecret.png", "%252e%252e%252fsecret.png",
        "..%5csecret.png", "a/../../secret.png", "good.png/../../secret.png", "link.png", "up/secret.png", "/etc/passwd",
        "%2fetc%2fpasswd", "good.png%00.png", "%00", "..;/secret.png", "....//secret.png", f"/{tmp_path}/secret.png",
        "%c0%ae%c0%ae/secret.png", "%uff0e%uff0e/secret.png", "file:///etc/passwd",
    ]  # fmt: skip
    async with serving(redis_url) as api:
        host, port = api.url.removeprefix("http://").split(":")
        for path in ["good.png", *paths]:
            reader, writer = await asyncio.open_connection(host, int(port))
            head = f"GET /images/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            answer = await asyncio.wait_for(reader.read(), 30)
            writer.close()
            if path == "good.png":
                assert answer.endswith(b"a picture")
                continue
            assert answer.split()[1] in (b"400", b"404"), (path, answer[:200])
            for secret in (b"the secret", b"root:", b"a picture"):
                assert secret not in answer, path
