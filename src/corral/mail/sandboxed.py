"""Jinja2 as mail templates get it: sandboxed, strict, and with errors that repeat no data.

Guarantees: neither a template nor data in it can reach Python (an attribute that begins with `_`, a module,
a file outside the folders); data is text, and in HTML and MJML it is escaped. A variable that is not there
is an error with its name. What goes wrong is named by template, line and kind; never by a value.
Limits: a template is a team's own file. It can still loop for long or ask for much memory, within the output
that `render` allows; an attempt's time limit ends the wait for it.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import (
    Environment,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    UndefinedError,
    meta,
    nodes,
)
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from corral.mail.templates import TemplateBroken, TemplateFault, TemplateFolders

#: Characters of one rendered part. The largest mails that are read have a few hundred thousand.
MAX_RENDERED = 2_000_000

#: Neither mail nor MJML can hold them. Line breaks stay.
_CONTROLS = dict.fromkeys({*range(32), 127} - {9, 10, 13})


class VariableMissing(TemplateFault):
    """A mail template uses a variable that the job's data does not have."""


class _Missing(StrictUndefined):
    """An error of it holds only the name: Jinja2's sentence may repeat a value that led there."""

    @property
    def _undefined_message(self) -> str:
        return str(self._undefined_name)


class _Environment(ImmutableSandboxedEnvironment):
    def getattr(self, obj: Any, attribute: str) -> Any:
        # Data is JSON: `order.items` is what the order has, not a method of dict.
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the template of that name: one of its files, or a text of its head."""

    template: str
    what: str
    file: str = ""
    text: str = ""


def environment(folders: TemplateFolders) -> Environment:
    """The environment of a set of folders. Values are escaped, but in .txt files and texts of no file."""
    return _Environment(
        loader=folders,
        undefined=_Missing,
        autoescape=lambda name: name is not None and not name.endswith(".txt"),
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _printed(value: Any) -> Any:
    """What stands in a mail for a value: nothing for null, a text without control characters."""
    if value is None:
        return ""
    return value.translate(_CONTROLS) if isinstance(value, str) else value


def fill(jinja: Environment, part: Part, data: Mapping[str, Any]) -> str:
    """A part filled with data. Raises VariableMissing and TemplateBroken."""
    pieces: list[str] = []
    size = 0
    try:
        compiled = jinja.get_template(part.file) if part.file else jinja.from_string(part.text)
        for piece in compiled.generate(dict(data)):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_RENDERED:
                raise TemplateBroken(
                    f"Mail template {part.template} makes more than {MAX_RENDERED:,} characters."
                )
    except TemplateFault:
        raise
    except Exception as error:  # whatever a template's expression raises is the template's mistake
        raise _explained(jinja, part, error) from None
    return "".join(pieces)


def variables(jinja: Environment, parts: Iterable[Part]) -> list[str]:
    """What parts ask of the data. Raises TemplateBroken for a mistake in their syntax."""
    found: set[str] = set()
    for part in parts:
        try:
            found |= {name for tree in _trees(jinja, part) for name in meta.find_undeclared_variables(tree)}
        except TemplateError as error:
            raise _explained(jinja, part, error) from None
    return sorted(found)


# What went wrong


def _explained(jinja: Environment, part: Part, error: Exception) -> TemplateFault:
    where = f"Mail template {part.template}"
    if isinstance(error, TemplateSyntaxError):
        place = error.name or part.what
        return TemplateBroken(f"{where} ({place}), line {error.lineno}: {error.message}")
    if isinstance(error, TemplateNotFound):
        return TemplateBroken(f"{where} extends or includes {error.name!r}, which is not there.")
    where += f" ({part.what}), line {line}" if (line := _line(error)) else f" ({part.what})"
    if isinstance(error, UndefinedError):
        return VariableMissing(f"{where}: the data has no {_shown(jinja, part, str(error))}.")
    if isinstance(error, SecurityError):
        return TemplateBroken(f"{where}: what it asks for is not allowed in a template.")
    return TemplateBroken(f"{where}: {type(error).__name__} while it was filled.")


def _line(error: Exception) -> int:
    """Where in the template: Jinja2 puts its lines in place of those of the code it made. 0: unknown."""
    frames = traceback.extract_tb(error.__traceback__)
    suffixes = (".mjml", ".html", ".txt")
    return next((frame.lineno or 0 for frame in reversed(frames) if frame.filename.endswith(suffixes)), 0)


def _shown(jinja: Environment, part: Part, variable: str) -> str:
    """A variable's name if the template spells it out. One that was computed from data may be personal."""
    spelt = {name for tree in _trees(jinja, part) for name in _names(tree)}
    return repr(variable) if variable in spelt else "value of a name that the template computes"


def _names(tree: nodes.Template) -> Iterable[str]:
    for node in tree.find_all((nodes.Name, nodes.Getattr, nodes.Const)):
        if isinstance(node, nodes.Name):
            yield node.name
        elif isinstance(node, nodes.Getattr):
            yield node.attr
        elif isinstance(node, nodes.Const):
            yield str(node.value)


def _trees(jinja: Environment, part: Part) -> list[nodes.Template]:
    """A part and all that it extends or includes by a fixed name, as Jinja2 reads them."""
    if not part.file:
        return [jinja.parse(part.text)]
    loader = jinja.loader
    assert loader is not None  # noqa: S101  # `environment` gave it one
    trees: dict[str, nodes.Template] = {}
    waiting = [part.file]
    while waiting:
        current = waiting.pop()
        if current in trees:
            continue
        try:
            tree = trees[current] = jinja.parse(loader.get_source(jinja, current)[0], current)
        except TemplateNotFound:
            continue  # it may be extended or included only if it is there
        waiting += [other for other in meta.find_referenced_templates(tree) if other]
    return list(trees.values())
