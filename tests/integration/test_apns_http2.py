"""APNs over HTTP/2, which is all that Apple speaks: one connection, many messages at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from h2_server import certificate, h2_server

from corral.providers import http
from corral.providers.apns import Apns
from corral.providers.push import Push
from corral.sandbox import accounts, keys


async def test_messages_share_one_http2_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    http.tls.cache_clear()
    async with h2_server(*files) as taken:
        apns = Apns(
            key=accounts.signing_key(keys.APNS_PHRASE), key_id=keys.APNS_KEY_ID, team_id=keys.APNS_TEAM_ID,
            topic=keys.APNS_TOPIC, base_url=f"https://localhost:{taken.port}",
        )  # fmt: skip
        push = Push("Good news", "It is done.", "job-7")
        await apns.send("device0", push)
        await asyncio.gather(*(apns.send(f"device{n}", push) for n in range(1, 8)))
        await apns.close()
    http.tls.cache_clear()
    assert taken.connections == 1
    assert sorted(headers[":path"] for headers in taken.headers) == [f"/3/device/device{n}" for n in range(8)]
    assert taken.headers[0]["apns-collapse-id"] == "job-7"
    assert b'"title":"Good news"' in taken.bodies[0]
