"""A small OpenID Connect provider with keys of its own: discovery, authorize, token, keys, over HTTP.

It checks what a provider has to check (client, redirect, PKCE, a code is taken once), and can be told to sign
whatever a test wants to see refused.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import secrets
import threading
import time
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CLIENT, SECRET = "corral-here", "the-secret-of-this-client"


#: To make a pair takes up to a second: each is used again, by the fourth key after this one.
_numbers = itertools.cycle(range(4))


@cache
def _pair(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


class Key:
    """A key pair under a name. No test has more than four."""

    def __init__(self) -> None:
        self.private = _pair(next(_numbers))
        self.kid = secrets.token_hex(4)

    @property
    def pem(self) -> bytes:
        """What everybody may know."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def jwk(self) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "use": "sig", "alg": "RS256"}


class OidcProvider:
    """Starts and ends with `with`. host: what its address is called."""

    def __init__(self, redirect_uri: str = "", host: str = "127.0.0.1", *, asks: bool = False) -> None:
        self.redirect_uri = redirect_uri
        #: Whether a person has to press something first.
        self.asks = asks
        self.key = Key()
        self.published = [self.key]
        #: Of whoever signs in next.
        self.claims: dict[str, Any] = {
            "sub": "7", "email": "ada@acme.test", "email_verified": True, "groups": ["ops", "choir"],
        }  # fmt: skip
        #: Changes the claims, or makes the whole token, of whoever signs in next.
        self.change: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.asked_for: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.answer(self, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                provider.answer(self, {name: values[0] for name, values in parse_qs(body).items()})

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://{host}:{self._server.server_address[1]}/tenant"

    def __enter__(self) -> OidcProvider:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.key.private, "RS256", headers={"kid": self.key.kid})

    def rotate(self) -> None:
        """Sign with another key from now on."""
        self.key = Key()
        self.published = [self.key]

    # Its four addresses

    def answer(self, request: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
        url = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        name = url.path.removeprefix("/tenant")
        self.asked_for.append(name)
        if name == "/.well-known/openid-configuration":
            self._say(request, self._metadata())
        elif name == "/keys":
            self._say(request, {"keys": [key.jwk() for key in self.published]})
        elif name == "/authorize":
            self._authorize(request, query)
        elif name == "/token":
            self._token(request, form)
        else:
            self._say(request, {"error": "not_found"}, 404)

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def _authorize(self, request: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        assert (query["client_id"], query["redirect_uri"]) == (CLIENT, self.redirect_uri)
        assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        back = f"{self.redirect_uri}?{urlencode({'code': code, 'state': query['state'], 'iss': self.issuer})}"
        if self.asks:
            page = f"<title>The provider</title><a href='{back.replace('&', '&amp;')}'>I am Ada</a>".encode()
            request.send_response(200)
            request.send_header("content-type", "text/html")
            request.send_header("content-length", str(len(page)))
            request.end_headers()
            request.wfile.write(page)
        else:
            request.send_response(302)
            request.send_header("location", back)
            request.send_header("content-length", "0")
            request.end_headers()

    def _token(self, request: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if request.headers["authorization"] != f"Basic {basic}":
            self._say(request, {"error": "invalid_client"}, 401)
            return
        query = self._codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        if query is None or query["code_challenge"] != challenge.decode().rstrip("="):
            self._say(request, {"error": "invalid_grant", "error_description": "ada@acme.test"}, 400)
            return
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": query["nonce"],
            **self.claims,
        }  # fmt: skip
        token = self.sign(self.change(claims))
        self._say(request, {"access_token": "unused", "token_type": "Bearer", "id_token": token})

    def _say(self, request: BaseHTTPRequestHandler, answer: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
