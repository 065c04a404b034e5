"""The worker's script with nothing around it: python -m bench.sides.limit_driver <redis url> <concurrency>

One socket, two calls under way, so that the server always has the next one waiting.
"""

from __future__ import annotations

import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import hiredis
import msgspec
import redis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import ours
from corral.bullmq.settlement import completed
from corral.policy import Keep

CALLS = 2
LOCK_MS = "30000"
KEEP_ALL = Keep()


def main(url: str, concurrency: int) -> None:
    keys = QueueKeys("bull", "bench")
    script = ours("step")
    with redis.Redis.from_url(url) as client:
        client.script_load(script.source)
    names = [
        keys.wait, keys.active, keys.prioritized, keys.events, keys.stalled, keys.limiter, keys.delayed,
        keys.meta, keys.pc, keys.marker, keys.completed, keys.failed,
    ]  # fmt: skip
    pack = msgspec.msgpack.Encoder().encode
    head: tuple[str | int, ...] = ("EVALSHA", script.sha, len(names), *names)
    slots = concurrency // CALLS

    def call(turn: int, settled: list[Any]) -> bytes:
        record = keys.fetched("driver", turn)
        argument = pack((keys.base, 0, f"driver:{turn}", LOCK_MS, "driver", slots, 0, 0, settled, record))
        command: tuple[Any, ...] = (*head, argument)
        return bytes(hiredis.pack_command(command))

    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port or 6379))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = hiredis.Reader()
    print('{"ready": true}', flush=True)
    sys.stdin.readline()
    for turn in range(CALLS):
        connection.sendall(call(turn, []))
    turn = 0
    while True:
        answer = reader.gets()
        if answer is False:
            reader.feed(connection.recv(1 << 20))
            continue
        if isinstance(answer, Exception):
            raise answer
        jobs, stamp = answer[1], "@" + answer[4].decode()
        if not jobs:
            time.sleep(0.002)  # the last jobs are settled by the other call
        settled = [completed(job[0].decode(), stamp, "null", KEEP_ALL) for job in jobs]
        connection.sendall(call(turn, settled))
        turn = (turn + 1) % CALLS


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
