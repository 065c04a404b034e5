"""The pytest plugin, in suites of its own: what its fixtures do, and that it leaves the others alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import psutil
import pytest

from eventually import eventually

pytest_plugins = ["pytester"]

#: Nothing listens there: a test that reaches for it fails.
PRODUCTION = "redis://127.0.0.1:1"

APPLICATION = """
    from corral import Queue
    reports = Queue("reports")
    own = Queue("own", redis_url="redis://127.0.0.1:1", prefix="mine")

    @reports.job("build")
    def build(job, data: int) -> int:
        return data * 2
    """

SOURCES = Path(__file__).parents[2] / "src"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project whose warnings are errors, with the plugin loaded, outside this repository."""
    monkeypatch.setenv("PYTHONPATH", str(SOURCES))
    monkeypatch.setenv("REDIS_URL", PRODUCTION)
    monkeypatch.setenv("REDIS_PASSWORD", "the password of production")
    pytester.makeini("""
        [pytest]
        filterwarnings = error
        asyncio_mode = auto
        asyncio_default_fixture_loop_scope = function
        """)
    pytester.makepyfile(application=APPLICATION)
    return pytester


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return suite.runpytest_subprocess("-p", "corral.testing.plugin", "-p", "no:cacheprovider", *arguments)


def test_every_test_has_an_empty_server_and_a_prefix_of_its_own(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import os
        import pytest, redis
        from application import own, reports
        from corral.testing import assert_enqueued, assert_not_enqueued, drain

        prefixes = set()

        @pytest.mark.parametrize("number", [1, 2, 3])
        async def test_async(corral_queues, number):
            await assert_not_enqueued(reports)
            await reports.add("build", number)
            await assert_enqueued(reports, "build", data=number, count=1)
            assert [end.result for end in (await drain(reports)).completed] == [number * 2]
            await reports.add("build", 0)
            assert corral_queues.prefix not in prefixes
            prefixes.add(corral_queues.prefix)
            assert reports.keys().prefix == corral_queues.prefix

        def test_its_url_is_for_other_clients_too(corral_redis_url):
            client = redis.Redis.from_url(corral_redis_url)
            assert client.keys("*") == []
            assert os.environ["REDIS_URL"] == "redis://127.0.0.1:1"
            client.close()

        async def test_a_queue_with_its_own_url_is_pointed_by_hand(corral_queues):
            assert own.keys().prefix == "mine"
            corral_queues.also(own)
            await own.add("anything")
            assert own.keys().prefix == corral_queues.prefix

        def test_outside_of_it_all_is_as_it_was():
            assert os.environ["REDIS_URL"] == "redis://127.0.0.1:1"
            assert os.environ["REDIS_PASSWORD"] == "the password of production"
            assert "CORRAL_PREFIX" not in os.environ
            assert (own.address().url, own.keys().prefix) == ("redis://127.0.0.1:1", "mine")
            assert reports.keys().prefix == "bull"
            assert reports.address().url == "redis://127.0.0.1:1"
        """)
    run(suite).assert_outcomes(passed=6)


def test_queues_are_pointed_whatever_loop_they_were_used_in(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import asyncio
        import pytest
        from application import reports
        from corral.testing import sync
        from corral.errors import RedisUnavailable

        def test_used_before_in_two_loops():
            with pytest.raises(RedisUnavailable):
                reports.sync.add("build", 1)
            with pytest.raises(RedisUnavailable):
                asyncio.run(reports.add("build", 1))

        @pytest.mark.parametrize("number", [1, 2])
        def test_sync(corral_queues, number):
            job = reports.sync.add("build", number)
            sync.assert_enqueued(reports, "build", data=number, count=1)
            sync.drain(reports)
            assert job.sync.result(timeout=10) == number * 2

        async def test_async(corral_queues):
            await reports.add("build", 1)
            assert (await reports.counts())["waiting"] == 1

        def test_asyncio_run(corral_queues):
            asyncio.run(reports.add("build", 1))
            sync.assert_enqueued(reports, "build", count=1)

        def test_and_not_any_more():
            with pytest.raises(RedisUnavailable):
                reports.sync.add("build", 1)
            with pytest.raises(RedisUnavailable):
                asyncio.run(reports.add("build", 1))

        def test_a_queue_that_was_declared_inside(corral_queues):
            global late
            from corral import Queue
            late = Queue("late")
            late.sync.add("anything")

        def test_is_not_pointed_there_any_more():
            with pytest.raises(RedisUnavailable):
                late.sync.add("anything")
            assert late.keys().prefix == "bull"
        """)
    run(suite).assert_outcomes(passed=8)


def test_inline_for_a_whole_test(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import pytest
        from application import reports

        def test_sync(corral_inline):
            assert reports.sync.add("build", 21).sync.result() == 42
            assert len(corral_inline.jobs) == 1

        @pytest.mark.usefixtures("corral_inline")
        async def test_async():
            assert await (await reports.add("build", 21)).result() == 42
        """)
    run(suite).assert_outcomes(passed=2)


def test_a_suite_that_does_not_use_it_imports_nothing(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import sys

        def test_nothing_is_there():
            assert "pytest_corral" in sys.modules
            ours = [m for m in sys.modules if m.startswith(("corral.", "redis", "msgspec", "structlog"))]
            assert ours == []
        """)
    suite.runpytest_subprocess("-p", "pytest_corral").assert_outcomes(passed=1)


def test_the_package_brings_it_along() -> None:
    project = tomllib.loads((SOURCES.parent / "pyproject.toml").read_text())
    # Equal names: pytest loads an entry point once, however often it is asked for by name.
    assert project["project"]["entry-points"]["pytest11"] == {"pytest_corral": "pytest_corral"}
    assert "src/pytest_corral.py" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def test_the_helpers_do_without_pytest(suite: pytest.Pytester) -> None:
    program = "import corral.testing.sync, sys; assert 'pytest' not in sys.modules"
    assert suite.runpython_c(program).ret == 0


def test_loading_it_twice_is_loading_it_once(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_nothing(): pass")
    result = run(suite, "-p", "pytest_corral", "--fixtures")
    assert result.ret == 0
    assert str(result.stdout).count("corral_queues -- ") == 1


async def test_the_server_goes_with_a_session_that_is_killed(suite: pytest.Pytester) -> None:
    told = suite.path / "pid"
    path = suite.makepyfile(f"""
        import pathlib, time
        def test_hangs(corral_redis_url, _corral_server):
            pathlib.Path({str(told)!r}).write_text(str(_corral_server.pid))
            time.sleep(600)
        """)
    session = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "pytest_corral", str(path)],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        cwd=suite.path,
        stdout=subprocess.DEVNULL,
    )
    pid = int(await eventually(lambda: told.exists() and told.read_text(), within=60))
    assert psutil.pid_exists(pid)
    session.send_signal(signal.SIGKILL)
    session.wait()
    await eventually(lambda: not _is_running(pid))


def _is_running(pid: int) -> bool:
    # Where nobody adopts orphans, one that has ended stays as a zombie.
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
