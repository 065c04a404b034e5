"""Rendering processes that are killed, hang, crash, are starved or fed rubbish: what it costs, and whom."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from corral.imaging.errors import ImageRejected, RendererUnavailable, RenderTimeout
from corral.imaging.pipeline import render
from corral.imaging.plan import Plan, Rendering, Size
from corral.imaging.pool import MEMORY_BYTES, RenderPool, render_in_pool
from pictures import DEFLATED, announced, frames, noise, png_header, quadrants

SMALL = Plan((Size(40, 40, "png"),))
#: Some seconds of work, so that there is a middle to interfere with.
LONG = Plan(tuple(Size(1600 + n, 1600, "webp") for n in range(3)))
LIMIT = 60.0


@pytest.fixture(scope="module")
def picture() -> bytes:
    return bytes(quadrants(200, 100).jpegsave_buffer())


@pytest.fixture(scope="module")
def large_picture() -> bytes:
    return bytes(noise(1700, 1700).jpegsave_buffer())


@pytest.fixture
async def pool() -> AsyncIterator[RenderPool]:
    async with RenderPool(2) as pool:
        yield pool


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def at_work(pool: RenderPool, count: int = 1) -> list[int]:
    """Children that have got their job and are well into it."""

    def computing() -> list[int]:
        pids = pool.busy_pids()
        return [pid for pid in pids if psutil.Process(pid).cpu_times().user > 1.2]

    # Importing takes a child well under a second of processor time, the long plan takes several.
    await until(lambda: len(computing()) >= count)
    return computing()


async def test_a_child_renders_what_the_engine_renders(picture: bytes) -> None:
    plan = Plan((Size(60, 60, "webp"), Size(20, 20, "jpeg", fit="cover"), Size(9, 9, "png")))
    assert await render_in_pool(picture, plan, LIMIT) == render(picture, plan)


async def test_a_rejection_keeps_its_reason_and_its_child(pool: RenderPool, picture: bytes) -> None:
    await pool.render(picture, SMALL, LIMIT)
    (child,) = children()
    for content, reason in (
        (b"", "empty"),
        (b"<svg/>", "an SVG drawing"),
        (picture[:1000], "damaged or incomplete"),
        (png_header(50_000, 50_000), "50000x50000 pixels"),
    ):
        with pytest.raises(ImageRejected, match=reason):
            await pool.render(content, SMALL, LIMIT)
    assert children() == [child]


async def test_bombs_of_every_format_cost_their_jobs_alone(picture: bytes) -> None:
    async with RenderPool(1) as pool:
        expected = await pool.render(picture, SMALL, LIMIT)
        (child,) = children()
        for format_ in ("jpeg", "png", "webp", "gif", "avif"):
            with pytest.raises(ImageRejected, match="over the limit of 50 megapixels"):
                await pool.render(announced(format_), SMALL, LIMIT)
        assert await pool.render(picture, SMALL, LIMIT) == expected
        assert children() == [child]


@pytest.mark.parametrize("kind", DEFLATED)
async def test_what_unpacks_to_much_stays_within_the_memory_of_a_job(kind: str, picture: bytes) -> None:
    content = DEFLATED[kind]()
    assert len(content) < 6 * 2**20
    async with RenderPool(1) as pool:
        await pool.render(picture, SMALL, LIMIT)
        (child,) = children()
        before = resident_peak(child)
        assert len((await pool.render(content, SMALL, LIMIT)).images) == 1
        assert children() == [child]
        assert resident_peak(child) - before < MEMORY_BYTES


async def test_a_large_picture_is_kept_in_memory_and_not_in_a_file() -> None:
    # The library puts decoded pictures over 100 MB into a file, which a child may not write.
    content = DEFLATED["a flat webp of 49 megapixels"]()
    async with RenderPool(1) as pool:
        (image,) = (await pool.render(content, Plan((Size(4096, 4096, "jpeg"),)), LIMIT)).images
    assert (image.width, image.height) == (4096, 4096)


def resident_peak(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def children() -> list[int]:
    """Rendering processes of this process that live, the ones of the shared pool left out."""
    return [
        process.pid
        for process in psutil.Process().children()
        if process.pid not in SHARED and "corral.imaging.child" in process.cmdline()
    ]


SHARED: set[int] = set()


@pytest.fixture(autouse=True)
def only_own_children() -> None:
    SHARED.clear()
    SHARED.update(children())


async def test_a_killed_child_costs_neither_its_job_nor_another(
    pool: RenderPool, large_picture: bytes
) -> None:
    jobs = [asyncio.create_task(pool.render(large_picture, LONG, LIMIT)) for _ in range(2)]
    victim, survivor = await at_work(pool, 2)
    with capture_logs() as logs:
        os.kill(victim, signal.SIGKILL)
        first, second = await asyncio.gather(*jobs)
    assert first == second
    assert len(first.images) == 3
    assert [(entry["event"], entry["cause"], entry["will_retry"]) for entry in logs] == [
        ("render_child_died", "SIGKILL", True)
    ]
    assert survivor in children()
    assert victim not in children()


async def test_a_job_whose_child_dies_twice_is_rejected(pool: RenderPool, large_picture: bytes) -> None:
    job = asyncio.create_task(pool.render(large_picture, LONG, LIMIT))
    for _ in range(2):
        (pid,) = await at_work(pool)
        os.kill(pid, signal.SIGKILL)
        await until(lambda pid=pid: pid not in pool.busy_pids())  # type: ignore[misc]  # bound now
    with pytest.raises(ImageRejected, match=r"crashed the decoder twice \(SIGKILL\)"):
        await job


#: A child that gets ready, waits for a request, and does what it is told with it.
CHILD = """
import msgspec, os, signal, socket, sys, time
from corral.imaging.frames import Channel, Ready, Request
channel = Channel(socket.socket(fileno=0))
channel.send(Ready())
request = channel.receive(msgspec.msgpack.Decoder(Request))
channel.read(request.content_bytes, 2**30)
{deed}
"""


def child_that(deed: str) -> list[str]:
    return [sys.executable, "-c", CHILD.format(deed=deed)]


@pytest.mark.parametrize(
    ("deed", "cause"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("os.abort()", "SIGABRT"),
        ("os._exit(3)", "exit code 3"),
        (r"os.write(0, b'\xff' * 64); time.sleep(60)", "4294967295 bytes announced"),
        ("channel.send(Ready()); time.sleep(60)", "unexpected Ready"),
    ],
)
async def test_a_crash_and_a_lie_are_held_against_the_picture_the_second_time(
    picture: bytes, deed: str, cause: str
) -> None:
    async with RenderPool(1, command=child_that(deed)) as pool:
        with capture_logs() as logs, pytest.raises(ImageRejected, match=cause):
            await pool.render(picture, SMALL, LIMIT)
    assert [entry["will_retry"] for entry in logs] == [True, False]


@pytest.mark.parametrize("announced", [2**31, 65 * 2**20])
async def test_results_over_the_limit_are_not_taken(picture: bytes, announced: int) -> None:
    deed = (
        "from corral.imaging.frames import Done, Piece; from corral.imaging.plan import SourceInfo; "
        f"channel.send(Done(SourceInfo(1, 1, 'png'), (Piece(1, 1, 'png', {announced}),))); time.sleep(60)"
    )
    async with RenderPool(1, command=child_that(deed)) as pool:
        with pytest.raises(ImageRejected, match=f"{announced} bytes announced"):
            await pool.render(picture, SMALL, LIMIT)


async def test_the_time_limit_kills_and_the_pool_goes_on(pool: RenderPool, picture: bytes) -> None:
    await pool.render(picture, SMALL, LIMIT)
    (child,) = children()
    os.kill(child, signal.SIGSTOP)
    with pytest.raises(RenderTimeout, match=r"longer than 0\.2 s"):
        await pool.render(picture, SMALL, 0.2)
    assert child not in children()
    assert (await pool.render(picture, SMALL, LIMIT)).images


async def test_a_caller_who_gives_up_stops_the_work(pool: RenderPool, large_picture: bytes) -> None:
    job = asyncio.create_task(pool.render(large_picture, LONG, LIMIT))
    (child,) = await at_work(pool)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await until(lambda: not psutil.pid_exists(child))
    await until(lambda: not pool.busy_pids())
    assert (await pool.render(large_picture, SMALL, LIMIT)).images


async def test_a_caller_who_gives_up_in_the_line_is_not_served(picture: bytes, large_picture: bytes) -> None:
    async with RenderPool(1) as pool:
        running = asyncio.create_task(pool.render(large_picture, LONG, LIMIT))
        await at_work(pool)
        waiting = asyncio.create_task(pool.render(large_picture, LONG, LIMIT))
        await asyncio.sleep(0)
        waiting.cancel()
        running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        assert (await pool.render(picture, SMALL, LIMIT)).images


async def test_a_child_that_died_idle_is_replaced_without_ado(pool: RenderPool, picture: bytes) -> None:
    await pool.render(picture, SMALL, LIMIT)
    (child,) = children()
    os.kill(child, signal.SIGKILL)
    # Dead with all its threads; the process table may call it a zombie before that.
    await until(lambda: os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
    with capture_logs() as logs:
        assert (await pool.render(picture, SMALL, LIMIT)).images
    assert logs == []


async def test_a_picture_that_needs_too_much_memory_is_rejected(picture: bytes) -> None:
    bomb = noise(100, 100).replicate(60, 60).pngsave_buffer(interlace=True, compression=1)
    async with RenderPool(1, memory_bytes=160 * 2**20) as pool:
        with pytest.raises(ImageRejected, match=r"more memory|crashed the decoder"):
            await pool.render(bomb, Plan((Size(4096, 4096), Size(4000, 4000))), LIMIT)
        assert (await pool.render(picture, SMALL, LIMIT)).images


async def test_a_child_is_replaced_after_its_share_of_jobs(picture: bytes) -> None:
    async with RenderPool(1, jobs_per_child=2) as pool:
        seen = []
        for _ in range(3):
            await pool.render(picture, SMALL, LIMIT)
            seen.append(children())
    assert len(seen[0]) == 1
    assert seen[1:] == [[], children_after(seen[2], seen[0])]


def children_after(now: list[int], before: list[int]) -> list[int]:
    assert len(now) == 1
    assert now != before
    return now


async def test_a_child_that_cannot_start_says_so(picture: bytes) -> None:
    for command in (["/nonexistent/python"], [sys.executable, "-c", "raise SystemExit(1)"]):
        async with RenderPool(1, command=command) as pool:
            with pytest.raises(RendererUnavailable, match=r"could not start|did not get ready"):
                await pool.render(picture, SMALL, LIMIT)


async def test_a_closed_pool_has_no_children_and_takes_no_job(picture: bytes) -> None:
    pool = RenderPool(2)
    await pool.render(picture, SMALL, LIMIT)
    await asyncio.to_thread(pool.close)
    assert children() == []
    with pytest.raises(RuntimeError, match="shutdown"):
        await pool.render(picture, SMALL, LIMIT)


async def test_a_child_knows_no_secret_of_its_parent(
    pool: RenderPool, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "a-secret")
    await pool.render(picture, SMALL, LIMIT)
    (child,) = children()
    assert b"a-secret" not in Path(f"/proc/{child}/environ").read_bytes()


def test_a_confined_process_cannot_write_files_or_take_all_memory(tmp_path: Path) -> None:
    code = (
        "import sys; from corral.imaging.child import confine; confine(50_000_000)\n"
        "import os; fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)\n"
        "try: os.write(fd, b'x')\n"
        "except OSError: print('no file')\n"
        "try: bytearray(200_000_000)\n"
        "except MemoryError: print('no memory')\n"
    )
    target = tmp_path / "file"
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n") == ["no file", "no memory", ""]


async def test_children_end_with_a_parent_that_was_killed() -> None:
    code = (
        "import asyncio, os, signal, sys, pyvips\n"
        "from corral.imaging.plan import Plan, Size\n"
        "from corral.imaging.pool import MEMORY_BYTES, RenderPool, render_in_pool\n"
        "picture = pyvips.Image.black(9, 9).pngsave_buffer()\n"
        "asyncio.run(render_in_pool(picture, Plan((Size(9, 9),)), 60))\n"
        "import psutil; print(psutil.Process().children()[0].pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    orphan = int(done.stdout)
    await until(lambda: not psutil.pid_exists(orphan) or _is_zombie(orphan))


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_damaged_files_of_every_kind_cost_nothing_but_their_job(pool: RenderPool) -> None:
    source = noise(90, 70)
    originals = [
        source.jpegsave_buffer(),
        source.jpegsave_buffer(interlace=True),
        source.pngsave_buffer(),
        source.pngsave_buffer(interlace=True),
        source.webpsave_buffer(),
        source.webpsave_buffer(lossless=True),
        frames(source, source),
        source.heifsave_buffer(compression="av1", effort=0),
    ]
    plan = Plan((Size(50, 50, "webp", fit="cover", crop="attention"), Size(20, 20, "jpeg")))
    dice = random.Random(7)
    outcomes = await asyncio.gather(
        *(pool.render(damaged(content, dice), plan, LIMIT) for content in originals for _ in range(30)),
        return_exceptions=True,
    )
    assert {type(outcome) for outcome in outcomes} <= {Rendering, ImageRejected}
    assert any(isinstance(outcome, ImageRejected) for outcome in outcomes)
    assert not any("crashed" in str(outcome) for outcome in outcomes)


def damaged(content: bytes, dice: random.Random) -> bytes:
    """A few bytes changed, a piece lost or doubled."""
    data = bytearray(content)
    for _ in range(dice.randint(1, 6)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    if dice.random() < 0.3:
        at, length = dice.randrange(len(data)), dice.randint(1, 200)
        data[at : at + length] = b"" if dice.random() < 0.5 else data[at : at + length] * 2
    return bytes(data)
