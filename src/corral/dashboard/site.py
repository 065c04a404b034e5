"""One dashboard, as its routes see it: the door, the cookies, the sign-in page, who is signed in."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from corral.api.problems import Refused
from corral.dashboard.oidc import Provider
from corral.dashboard.origin import FOREIGN, SAFE, is_foreign
from corral.dashboard.pages import SIGN_IN, Page, built_pages, with_facts
from corral.dashboard.signing_in import LONGEST_SESSION_SECONDS, Door
from corral.dashboard.single_sign_on import read_single_sign_on
from corral.dashboard.users import User, Users
from corral.settings import Settings


class Site:
    """`site` among the dependencies of its routes."""

    def __init__(self, settings: Settings, users: Users) -> None:
        self.settings = settings
        self.single = read_single_sign_on(settings)
        self.provider = Provider(self.single) if self.single else None
        self.passwords = len(users) > 0
        self.door = Door(settings, users, self.single)
        self.secure = urlsplit(settings.dashboard_url).scheme == "https"
        # The prefix ties a cookie to this host and to TLS, where there is TLS.
        prefix = "__Host-" if self.secure else ""
        self.cookie = f"{prefix}corral"
        #: Of a browser that somebody has signed in with.
        self.browser_cookie = f"{prefix}corral-known"
        self.pages = built_pages() | self.sign_in_page()

    async def close(self) -> None:
        if self.provider is not None:
            await self.provider.close()

    def sign_in_page(self, problem: str = "") -> dict[str, Page]:
        """The page for who is not signed in, by its path; with what went wrong, if something did."""
        found = built_pages().get(SIGN_IN)
        if found is None:
            return {}
        sso = self.single.name if self.single else ""
        return {
            SIGN_IN: with_facts(found, sso=sso, passwords="" if self.passwords else "off", problem=problem)
        }

    def session_cookie(self, token: str) -> Cookie:
        return self.kept(self.cookie, token, LONGEST_SESSION_SECONDS)

    def kept(
        self, name: str, value: str, seconds: int, samesite: Literal["strict", "lax"] = "strict"
    ) -> Cookie:
        """A cookie that scripts cannot read, for the whole of this host."""
        return Cookie(
            key=name,
            value=value,
            path="/",
            max_age=seconds,
            httponly=True,
            samesite=samesite,
            secure=self.secure,
        )

    async def user_of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> User:
        """Who is signed in. Raises Refused, RedisUnavailable."""
        method = str(connection.scope.get("method", "GET"))
        if is_foreign(method, connection.headers):
            raise Refused(FOREIGN)
        return await self.door.user_of(connection.cookies.get(self.cookie), reading=method in SAFE)
