"""The rights of docs/engine/servers.md: enough for everything, and each one that lacks is named."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from importlib import resources
from pathlib import Path

import bullmq
import pytest
from broad_scenario import walk_through
from running_worker import RunningWorker

from corral import Queue, Worker
from corral.bullmq.access import DIRECT, SCRIPTED, acl_rules
from corral.bullmq.connection import close_shared_clients, pooled_client
from corral.errors import ConfigurationError, RedisRefused, RedisUnavailable
from eventually import eventually
from redis_process import RedisProcess
from server_farm import Farm, needed

DOCS = Path(__file__).parents[2] / "docs" / "engine" / "servers.md"


@pytest.fixture(autouse=True)
async def short_locks(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "5")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "0.3")
    yield
    await close_shared_clients()


@pytest.fixture(params=["redis-6.2", "on-path", "valkey-8", "redis-8"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisProcess]:
    binary = needed(request.param)
    farm = Farm(tmp_path, binary)
    yield farm.start()
    farm.stop()


def user(server: RedisProcess, *changes: str) -> str:
    """A user with the rights of the page and these changes; returns the URL to enter with."""
    rules = [*acl_rules("bull"), *changes]
    server.client.execute_command("ACL SETUSER", "corral", "reset", "on", ">pass", *rules)
    return f"redis://corral:pass@127.0.0.1:{server.port}"


async def test_the_rights_of_the_page_suffice(server: RedisProcess) -> None:
    url = user(server)
    await walk_through(url, "bull")
    client = pooled_client(Queue("orders", redis_url=url, prefix="bull").address())
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("corral:cancel")
        await pubsub.psubscribe("corral:*")
        await client.publish("corral:cancel", "7")
        kinds = [await pubsub.get_message(timeout=5) for _ in range(4)]
        assert sorted(message["type"] for message in kinds if message) == [
            "message", "pmessage", "psubscribe", "subscribe",
        ]  # fmt: skip
    await client.aclose()
    refused = {
        entry["object"]
        for entry in server.client.execute_command("ACL LOG")
        if "setinfo" not in entry["object"] and entry["object"] != "client"
    }
    assert refused == set()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("-evalsha", "evalsha"),
        ("-bzpopmin", "bzpopmin"),
        ("-client", "client"),
        ("-xadd", "xadd"),
        ("-lpos", "lpos"),
        ("-time", "time"),
        ("-publish", "publish"),
        ("-subscribe", "subscribe"),
        ("resetchannels", "corral:"),
        ("resetkeys", "keys of this prefix"),
        (">other nopass resetpass", "user or password"),
    ],
)
async def test_a_worker_without_a_right_says_which_at_its_start(
    server: RedisProcess, change: str, named: str
) -> None:
    url = user(server, *change.split())
    queue = Queue("orders", redis_url=url, prefix="bull")
    with pytest.raises(ConfigurationError, match=re.escape(named)) as raised:
        await Worker(queue).run()
    assert "pass@" not in str(raised.value)
    assert server.client.keys("*") == []


async def test_a_producer_without_a_right_hears_it_at_once(server: RedisProcess) -> None:
    queue = Queue("orders", redis_url=user(server, "-evalsha", "-eval"), prefix="bull")
    with pytest.raises(RedisRefused, match="eval"):
        await queue.add("build", 1)
    await queue.close()


async def test_a_right_that_is_taken_away_while_it_works_and_given_back(server: RedisProcess) -> None:
    """The worker waits for the operator, shows it in its health, and goes on."""
    queue = Queue("orders", redis_url=user(server), prefix="bull")
    ran: list[int] = []

    @queue.job("build")
    async def build(job: object, data: int) -> None:
        ran.append(data)

    running = await RunningWorker(Worker(queue), until_empty=False).ready()
    await queue.add("build", 1)
    await eventually(lambda: ran == [1])
    user(server, "-evalsha", "-eval")
    with pytest.raises(RedisUnavailable):
        await queue.add("build", 2)
    await eventually(lambda: not running.worker.health()["ok"])
    user(server)
    await queue.add("build", 3)
    await eventually(lambda: ran == [1, 3] and running.worker.health()["ok"])
    await running.stop()
    await queue.close()


def test_every_command_of_every_script_is_in_the_list() -> None:
    called = re.compile(r"""call\(\s*["'](\w+)["']""")
    folders = [resources.files("corral.bullmq") / "lua", resources.files(bullmq) / "commands"]
    used = {
        name.lower()
        for folder in folders
        for file in folder.iterdir()
        if file.name.endswith(".lua")
        for name in called.findall(file.read_text())
    }
    assert len(used) > 50
    assert used - set(SCRIPTED) - set(DIRECT) == set()


def test_the_page_shows_the_rule() -> None:
    text = " ".join(DOCS.read_text().split())
    assert " ".join(acl_rules("bull")) in text
