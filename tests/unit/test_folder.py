from __future__ import annotations

from pathlib import Path

import pytest

from corral.providers.errors import ProviderPermanent, ProviderRetryable
from corral.providers.folder import FolderTarget


@pytest.fixture
def target(tmp_path: Path) -> FolderTarget:
    return FolderTarget(tmp_path / "images", "http://127.0.0.1:3000/images/")


async def test_a_file_is_written_and_has_a_url(target: FolderTarget) -> None:
    url = await target.write("user 7/640x480.webp", b"content", "image/webp")
    assert url == "http://127.0.0.1:3000/images/user%207/640x480.webp"
    assert target.locate("user 7/640x480.webp").read_bytes() == b"content"


async def test_a_second_write_replaces_the_first_and_leaves_no_draft(target: FolderTarget) -> None:
    await target.write("a/b.jpg", b"first")
    await target.write("a/b.jpg", b"second")
    assert [p.name for p in (target.root / "a").iterdir()] == ["b.jpg"]
    assert (target.root / "a/b.jpg").read_bytes() == b"second"


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", "..\\x", "a\\..\\x", "a\0b", ".."],
)
async def test_a_path_that_leads_out_is_refused(target: FolderTarget, path: str) -> None:
    with pytest.raises(ProviderPermanent):
        await target.write(path, b"x")
    assert not target.root.exists() or list(target.root.rglob("*")) == []


async def test_a_symbolic_link_does_not_lead_out(target: FolderTarget, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target.root.mkdir()
    (target.root / "link").symlink_to(outside)
    with pytest.raises(ProviderPermanent):
        await target.write("link/x", b"x")
    assert list(outside.iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_worth_another_try(target: FolderTarget) -> None:
    target.root.parent.mkdir(exist_ok=True)
    target.root.write_text("a file where the folder should be")
    with pytest.raises(ProviderRetryable):
        await target.write("a/b.jpg", b"x")
