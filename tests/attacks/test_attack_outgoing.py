# ruff: noqa: E501 - payloads are read best as rows
"""No module makes a request of its own to an address that a stranger chose: it goes through the guard.

Read from the source, so that a new module cannot be forgotten: whoever opens a connection is on one of the
lists below, with the reason why its address is no stranger's.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import corral
from corral.providers.guarded import GuardedPoster

SOURCE = Path(corral.__file__).parent

#: Modules that can open a connection to somewhere, and what in them does.
CLIENTS = {
    "httpx2": {
        "AsyncClient", "Client", "get", "post", "put", "patch", "delete", "head", "options", "request", "stream",
        "AsyncHTTPTransport", "HTTPTransport",
    },
    "httpcore2": {
        "AsyncConnectionPool", "ConnectionPool", "AsyncHTTPConnection", "HTTPConnection", "AnyIOBackend", "request",
        "stream", "AsyncHTTPProxy", "AsyncSOCKSProxy",
    },
    "aiosmtplib": {"SMTP", "send"},
    "asyncpg": {"connect", "create_pool"},
    "asyncio": {"open_connection"},
    "socket": {"create_connection", "socket", "socketpair", "fromfd"},
}  # fmt: skip

#: Modules that nobody here has a use for.
NEVER = {
    "urllib.request", "http.client", "ftplib", "telnetlib", "smtplib", "requests", "aiohttp", "urllib3", "httpx",
    "httpcore", "websockets", "pycurl", "xmlrpc.client", "paramiko",
}  # fmt: skip

#: Who opens a connection, and whose address it is.
ALLOWED = {
    "providers/guarded.py": "the guard itself: each address is judged",
    "providers/http.py": "a provider's base URL, from the operator's settings; redirects are not followed",
    "providers/smtp.py": "SMTP_HOST, from the operator's settings",
    "sinks/postgres.py": "POSTGRES_URL, from the operator's settings",
    "sandbox/twilio_callbacks.py": "sandbox mode alone: CORRAL_PUBLIC_URL",
    "sandbox/webhooks.py": "sandbox mode alone: CORRAL_PUBLIC_URL",
    "manage/outbox.py": "sandbox mode alone: the sandbox's own URL",
    "cli/incident.py": "the demo calls its own service",
    "cli/demo.py": "the demo calls its own service",
    "embedded/server.py": "the embedded server on loopback",
}


@cache
def modules() -> list[tuple[str, ast.Module]]:
    paths = sorted(SOURCE.rglob("*.py"))
    return [(str(path.relative_to(SOURCE)), ast.parse(path.read_text())) for path in paths]


def openings(tree: ast.Module) -> set[str]:
    """What in a module opens a connection: `client.function`."""
    names: dict[str, str] = {}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(alias.asname or alias.name.split(".")[0]): alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = node.module.split(".")[0]
            found |= {
                f"{module}.{alias.name}" for alias in node.names if alias.name in CLIENTS.get(module, ())
            }
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "import_module"
        ):
            # A module that is imported by name counts as used.
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            found |= {f"{text}.*" for text in texts if text in CLIENTS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = names.get(node.value.id, "")
            if node.attr in CLIENTS.get(module, ()):
                found.add(f"{module}.{node.attr}")
        if isinstance(node, ast.Attribute) and node.attr == "create_connection":
            found.add(f"loop.{node.attr}")
    return found


def imported(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_only_listed_modules_open_connections() -> None:
    opening = {name: found for name, tree in modules() if (found := openings(tree))}
    # Between our own processes, and what we listen at: no way out.
    local = {"socket.socket", "socket.fromfd", "socket.socketpair"}
    unlisted = {name: found for name, found in opening.items() if name not in ALLOWED and found - local}
    assert unlisted == {}, "New outgoing requests go through Fetcher or GuardedPoster, or onto the list."
    assert set(ALLOWED) <= set(opening), "Somebody on the list opens no connection any more."


def test_no_module_uses_another_client() -> None:
    used = {name: found for name, tree in modules() if (found := imported(tree) & NEVER)}
    assert used == {}


def test_no_client_of_ours_follows_redirects_by_itself() -> None:
    """A redirect that the client follows is an address that nobody judged."""
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "follow_redirects":
                value = node.value
                assert isinstance(value, ast.Constant), name
                assert value.value is False, name


def test_urls_of_jobs_go_to_the_guard() -> None:
    """Every field of a built-in job that holds a URL, and who is given it."""
    users = {
        "queues/image_processing.py": "fetcher",  # imageUrl
        "queues/kyc_pictures.py": "fetcher",  # frontImageUrl, backImageUrl, selfieImageUrl
        "queues/email_message.py": "fetcher",  # attachments
    }
    for name, word in users.items():
        assert f"{word}.fetch(" in (SOURCE / name).read_text(), name
    for name in ("providers/standard_webhooks.py", "providers/webpush.py"):
        assert f"{GuardedPoster.__name__}(" in (SOURCE / name).read_text(), name
