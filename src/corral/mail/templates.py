"""Where mail templates are found: a team's own folder first, then those that come with Corral.

A template NAME is one file, `NAME.mjml` or `NAME.html`; beside it may lie `NAME.txt` (its text part) and
`NAME.json` (data for a preview). A file whose name begins with `_` is no template but something to extend or
include. A template begins with its head:

    ---
    subject: Welcome, {{ name }}
    preview: Your account is ready.
    ---

Guarantees: no name leads out of the folders. A changed file counts from the next mail on.
Limits: files are UTF-8. A file of the team's folder hides one of the same name that comes with Corral; one
that is put there later is seen when the process starts again.

Options: CORRAL_MAIL_TEMPLATES, the team's folder; empty: none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import BaseLoader, Environment, TemplateNotFound
from jinja2.loaders import split_template_path

from corral.errors import Unrecoverable
from corral.mail.names import NAME_PATTERN

#: The folder that comes with Corral.
SHIPPED = Path(__file__).parent / "shipped"

#: What a template may be written in, in the order of looking.
KINDS = (".mjml", ".html")


_HEAD_KEYS = ("subject", "preview")


class TemplateFault(Unrecoverable):
    """A mail template cannot be used. Sending again cannot help: repair it, or the job that names it."""


class TemplateUnknown(TemplateFault):
    """There is no mail template of this name."""


class TemplateBroken(TemplateFault):
    """A mail template has a mistake in it."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a template says of itself; both are Jinja2 texts, empty where it says nothing."""

    subject: str = ""
    preview: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A template in its place. `file` and `text` (empty: there is none) are names for the loader."""

    name: str
    folder: Path
    file: str
    text: str
    head: Head

    @property
    def shipped(self) -> bool:
        return self.folder == SHIPPED

    @property
    def sample(self) -> Path:
        """Where data for a preview may lie."""
        return self.folder / f"{self.name}.json"


class TemplateFolders(BaseLoader):
    """Templates of several folders; the first folder that has a file wins. Also Jinja2's loader.

    own: the team's folder. Raises TemplateUnknown if it is none.
    """

    def __init__(self, own: str = "") -> None:
        if own and not Path(own).is_dir():
            raise TemplateUnknown(f"CORRAL_MAIL_TEMPLATES: {own} is not a folder.")
        self.folders = (*([Path(own).resolve()] if own else []), SHIPPED)

    def find(self, name: str) -> Found:
        """A template by name. Raises TemplateUnknown, TemplateBroken."""
        if re.fullmatch(NAME_PATTERN, name):
            for folder in self.folders:
                for kind in KINDS:
                    path = folder / f"{name}{kind}"
                    if path.is_file():
                        text = f"{name}.txt" if (folder / f"{name}.txt").is_file() else ""
                        return Found(name, folder, path.name, text, split_head(name, _read(path))[0])
        near = ", ".join(self.names())
        raise TemplateUnknown(f"There is no mail template {name[:64]!r}. There are: {near}.")

    def names(self) -> list[str]:
        """All templates, in the order of the alphabet."""
        return sorted(
            {
                path.stem
                for folder in self.folders
                for path in folder.iterdir()
                if path.suffix in KINDS and re.fullmatch(NAME_PATTERN, path.stem)
            }
        )

    def get_source(
        self,
        environment: Environment,  # noqa: ARG002 - the signature is Jinja2's
        template: str,
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """What Jinja2 asks for: a file without its head, whose lines keep their numbers."""
        parts = split_template_path(template)  # refuses what leads out of a folder
        for folder in self.folders:
            path = folder.joinpath(*parts)
            if path.is_file():
                changed = path.stat().st_mtime_ns
                _, body = split_head(template, _read(path))
                return body, str(path), partial(_is_still, path, changed)
        raise TemplateNotFound(template)


def split_head(name: str, source: str) -> tuple[Head, str]:
    """A template's head, and the rest, whose lines keep their numbers. Raises TemplateBroken. Pure."""
    lines = source.removeprefix("\ufeff").splitlines(keepends=True)
    if not lines or lines[0].strip() != "---":
        return Head(), source
    ends = next((number for number, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0)
    if not ends:
        raise TemplateBroken(f"Mail template {name}: its head has no end; close it with a line ---.")
    values = dict.fromkeys(_HEAD_KEYS, "")
    for number, line in enumerate(lines[1:ends], 2):
        key, colon, value = line.partition(":")
        if line.strip() and (not colon or key.strip() not in values):
            raise TemplateBroken(
                f"Mail template {name}, line {number}: a head has the lines subject: … and preview: …"
            )
        if line.strip():
            values[key.strip()] = value.strip()
    return Head(**values), "\n" * (ends + 1) + "".join(lines[ends + 1 :])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise TemplateBroken(f"Mail template {path.name}: the file is not UTF-8.") from None


def _is_still(path: Path, changed: int) -> bool:
    try:
        return path.stat().st_mtime_ns == changed
    except OSError:
        return False
