"""docs/reference/settings.md: names and defaults from `Settings`, words from `.env.example`."""

from __future__ import annotations

import json
import re
from importlib import resources
from itertools import groupby

from pydantic import SecretStr
from tools.reference.table import MADE, cell, code, table

from corral.settings import Settings

#: A page of the documentation, named as the repository names it.
_PAGE = re.compile(r"\bdocs/([\w/-]+\.md)")

_HEAD = f"""{MADE}

# Settings

Read from the environment and from `.env` in the working directory; the environment wins. A name that starts
with `CORRAL_` and is not known is an error that names the near one. Each secret `NAME` may instead be given
as `NAME_FILE`, the path of a file that holds it: [secrets](../operate/secrets.md). In the dashboard,
**Settings** shows what is set and from where.
"""


def text() -> str:
    words = json.loads(resources.files("corral.manage").joinpath("settings_docs.json").read_text())
    fields = {str(field.alias): field for field in Settings.model_fields.values()}
    parts = [_HEAD]
    for group, names in groupby(words, key=lambda name: words[name]["group"]):
        rows = [_row(name, fields[name].default, words[name]["doc"]) for name in names]
        parts.append(f"\n## {group}\n\n" + table(("setting", "default", "meaning"), rows))
    return "".join(parts)


def _row(name: str, default: object, doc: str) -> tuple[str, str, str]:
    if isinstance(default, SecretStr):
        return f"`{name}`", "secret", _linked(doc)
    shown = "" if default is None or default == "" else str(default)
    if isinstance(default, bool):
        shown = shown.lower()
    elif isinstance(default, tuple | list):
        shown = ",".join(map(str, default))
    return f"`{name}`", code(shown), _linked(doc)


def _linked(doc: str) -> str:
    return _PAGE.sub(lambda page: f"[{page[1]}](../{page[1]})", cell(doc))
