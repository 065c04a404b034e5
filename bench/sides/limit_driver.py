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

from corral.bullmq.consumer import completed
from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import ours
from corral.policy import Keep

CALLS = 2
LOCK_MS = 30_000
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

    def call(token: str, settled: list[Any]) -> bytes:
        argument = pack((keys.base, 0, token, LOCK_MS, "driver", slots, 0, 0, settled))
        command: tuple[Any, ...] = (*head, argument)
        return bytes(hiredis.pack_command(command))

    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port or 6379))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = hiredis.Reader()
    print('{"ready": true}', flush=True)
    sys.stdin.readline()
    tokens = [f"driver:{n}" for n in range(CALLS)]
    for token in tokens:
        connection.sendall(call(token, []))
    turn = 0
    while True:
        answer = reader.gets()
        if answer is False:
            reader.feed(connection.recv(1 << 20))
            continue
        if isinstance(answer, Exception):
            raise answer
        token = tokens[turn]
        turn = (turn + 1) % CALLS
        jobs = answer[1]
        if not jobs:
            time.sleep(0.002)  # the last jobs are settled by the other call
        connection.sendall(call(token, [completed(job[0].decode(), token, "null", KEEP_ALL) for job in jobs]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
