"""The users of the sandbox: whoever is asked for has an Android device and a mobile number.

The user id's beginning says more.

| user id | devices | number |
|---|---|---|
| `none-…` | none | none |
| `dead-…` | one, whose token is dead | one that does not exist |
| `optout-…` | one | its owner wants no texts |
| `every-…` | one of each kind, and a dead one | one |
| anything else | one | one |
"""

from __future__ import annotations

import hashlib
import sqlite3

from corral.sandbox.filters import column
from corral.sandbox.webpush import subscription

#: Twilio's own numbers for tests.
INVALID = "+15005550001"
OPTED_OUT = "+15005550004"


class People:
    """Two tables that get a user's rows when the user is first asked for."""

    def __init__(self, db: sqlite3.Connection, devices: tuple[str, str], profiles: tuple[str, str]) -> None:
        """devices, profiles: the table, and its columns with commas between."""
        self._db = db
        self._seen: set[tuple[str, str]] = set()
        (self.devices, device_columns), (self.profiles, profile_columns) = devices, profiles
        self._owner, kind, token = map(column, device_columns.split(","))
        self._user, *others = map(column, profile_columns.split(","))
        db.execute(
            f'create table "{column(self.devices)}" ("{self._owner}" text not null, "{kind}" text not null, '
            f'"{token}" text not null, unique ("{self._owner}", "{token}"))'
        )
        extra = "".join(f', "{name}" text' for name in others)
        db.execute(f'create table "{column(self.profiles)}" ("{self._user}" text primary key{extra})')

    def meet(self, table: str, query: tuple[tuple[str, str], ...]) -> None:
        """Write the rows of the user that a query is about, the first time."""
        owner = {self.devices: self._owner, self.profiles: self._user}.get(table)
        for name, expression in query:
            user = expression.removeprefix("eq.")
            if name == owner and user != expression and (table, user) not in self._seen:
                self._seen.add((table, user))
                self._write(table, user)

    def _write(self, table: str, user: str) -> None:
        if table == self.devices:
            for kind, token in devices(user):
                self._db.execute(
                    f'insert or ignore into "{table}" values (?, ?, ?)',  # noqa: S608 - checked by `column`
                    (user, kind, token),
                )
        elif (number := phone(user)) is not None:
            rest = self._db.execute(f'pragma table_info("{table}")').fetchall()
            values = [user, number, *[None] * (len(rest) - 2)]
            marks = ", ".join("?" * len(values))
            self._db.execute(f'insert or ignore into "{table}" values ({marks})', values)  # noqa: S608 - the same


def devices(user: str) -> list[tuple[str, str]]:
    """Kind and token of each of a user's devices."""
    mark = hashlib.sha256(user.encode()).hexdigest()[:24]
    match user.partition("-")[0]:
        case "none":
            return []
        case "dead":
            return [("fcm", f"dead-{mark}")]
        case "every":
            return [
                ("fcm", f"device-{mark}"),
                ("apns", mark),
                ("webpush", subscription(mark)),
                ("fcm", f"dead-{mark}"),
            ]
    return [("fcm", f"device-{mark}")]


def phone(user: str) -> str | None:
    """A user's number; it is nobody's: 500 is no area code."""
    match user.partition("-")[0]:
        case "none":
            return None
        case "dead":
            return INVALID
        case "optout":
            return OPTED_OUT
    return f"+1500555{int(hashlib.sha256(user.encode()).hexdigest(), 16) % 9000 + 1000}"
