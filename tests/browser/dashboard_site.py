"""A dashboard of the tests' own: its Redis, its process, real queues with a real worker's jobs in them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from corral import JobContext, Queue, Unrecoverable, Worker
from corral.bullmq.connection import close_shared_clients
from corral.dashboard.pages import FOLDER
from corral.dashboard.users import hash_password
from redis_process import RedisProcess, free_port

PASSWORD = "correct horse battery"
USERS = {"ada": "admin", "olu": "operator", "vi": "viewer"}

#: Looks like a page in the page wherever it is not shown as text.
EVIL = "<img/src=x/onerror=alert(1)>"
BOLD = "<b>odd<b>"


class Site:
    """Starts and ends with `with`. `url`: where the dashboard is. options: of the Redis server.

    settings: further ones of the dashboard, by name.
    """

    def __init__(self, *options: str, **settings: str) -> None:
        #: Further settings of the dashboard; may be added to before it is started.
        self.settings: dict[str, str] = settings
        self.redis = RedisProcess(*options)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._dashboard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Site:
        assert (FOLDER / "index.html").is_file(), "The pages are not built. Run: make setup"
        self.redis.start()
        hashed = hash_password(PASSWORD)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CORRAL_")},
            "REDIS_URL": self.redis.url,
            "CORRAL_DASHBOARD_USERS": ",".join(f"{name}:{hashed}:{role}" for name, role in USERS.items()),
            "CORRAL_ENVIRONMENT": "testing",
            **self.settings,
        }
        self._dashboard = subprocess.Popen(
            [sys.executable, "-m", "corral", "dashboard", "--port", str(self.port)],
            env=environment,
            cwd=self.folder(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._wait_until_it_listens()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._dashboard is not None
        self._dashboard.send_signal(signal.SIGTERM)
        self._dashboard.communicate(timeout=20)
        self.redis.stop()

    def folder(self) -> Path:
        """Where no .env is."""
        return Path(__file__).parent

    def do(self, work: Callable[[Site], Coroutine[Any, Any, None]]) -> None:
        """Run it in a thread: the browser's driver has the loop of this one."""

        async def run() -> None:
            try:
                await work(self)
            finally:
                await close_shared_clients()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, run()).result(60)

    def queue(self, name: str) -> Queue:
        return Queue(name, redis_url=self.redis.url, prefix="bull")

    def _wait_until_it_listens(self) -> None:
        assert self._dashboard is not None
        assert self._dashboard.stderr is not None
        os.set_blocking(self._dashboard.stderr.fileno(), False)
        said, deadline = b"", time.monotonic() + 30
        while not re.search(rb"http_listening", said):
            said += self._dashboard.stderr.read() or b""
            if time.monotonic() > deadline or self._dashboard.poll() is not None:
                raise AssertionError(f"The dashboard did not start: {said.decode()}")
            time.sleep(0.05)


async def seed(site: Site) -> None:
    """Three queues: one that a worker has done, one that nobody takes, one whose names try to be a page."""
    reports, email = site.queue("reports"), site.queue("email")

    @reports.job("build")
    async def build(job: JobContext, data: Any) -> int:
        if data == "fails":
            raise Unrecoverable(f"no figures {EVIL}")
        return 1

    await reports.add_many("build", ["well"] * 6)
    await reports.add("build", "fails")
    await reports.schedules.upsert("nightly", "build", cron="0 3 * * 1-5", data={"month": "may"})
    await reports.schedules.upsert("broken", "build", every=0.5, data="fails")
    await Worker(reports, concurrency=2).run(until_empty=True)
    await reports.schedules.pause("broken")
    await email.add_many("send", [{"to": number} for number in range(12)])
    await email.schedules.upsert(EVIL, EVIL, every=3_600, data={EVIL: EVIL})
    odd = site.queue(BOLD)
    await odd.add(EVIL, {"<script>": EVIL})
    for queue in (reports, email, odd):
        await queue.close()
