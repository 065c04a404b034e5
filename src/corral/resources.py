"""Resources: what handlers need beside their data, declared as functions and matched by type.

Pure: this file reads signatures and decides what is opened in which order; `worker/resources.py` opens.
A resource is found by the type that it is annotated to give: first among those of the queue, then among
those of the worker. The match is exact; `Annotated[Database, "replica"]` is a type of its own.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from corral.errors import ConfigurationError

Kind = Literal["value", "generator", "async generator", "class"]

_YIELDING = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
    collections.abc.Iterator,
    collections.abc.Iterable,
    collections.abc.Generator,
)


@dataclass(frozen=True, slots=True)
class Need:
    """A parameter that a resource fills. One that has a default is left to it if nothing fits."""

    parameter: str
    type: Any
    required: bool


@dataclass(frozen=True, slots=True)
class Resource:
    """A declared resource: `function` gives a `provides`."""

    function: Callable[..., Any]
    kind: Kind
    provides: Any
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Hook:
    """A middleware or a hook: a function, the positional arguments it is given, and what it needs besides."""

    function: Callable[..., Any]
    title: str
    needs: tuple[Need, ...]


def declare_resource(function: Any, local_names: Mapping[str, Any]) -> Resource:
    """Read a resource's signature. Raises ConfigurationError if it does not say what it gives."""
    inner = inspect.unwrap(function) if inspect.isroutine(function) else function
    if inspect.isasyncgenfunction(inner) or inspect.isgeneratorfunction(inner):
        function = inner  # what @asynccontextmanager and @contextmanager were put on
    title = f"The resource {name_of(function)}"
    if isinstance(function, type):
        needs = needs_of(
            title,
            function,
            read_hints(title, inspect.getattr_static(function, "__init__"), local_names),
            skip=0,
        )
        return Resource(function, "class", function, needs)
    if not inspect.isroutine(function):
        raise ConfigurationError(f"{title} is no function and no class.")
    kind: Kind = "value"
    if inspect.isasyncgenfunction(function):
        kind = "async generator"
    elif inspect.isgeneratorfunction(function):
        kind = "generator"
    hints = read_hints(title, function, local_names)
    given = hints.get("return", type(None))
    if kind != "value":
        yields = typing.get_args(given) if typing.get_origin(given) in _YIELDING else ()
        given = yields[0] if yields else type(None)
    if is_too_general(given):
        shown = "AsyncIterator[Database]" if kind != "value" else "Database"
        raise ConfigurationError(f"{title} does not say what it gives. Annotate it, as in `-> {shown}`.")
    return Resource(function, kind, given, needs_of(title, function, hints, skip=0))


def declare_hook(
    title: str, function: Callable[..., Any], local_names: Mapping[str, Any], *, skip: int
) -> Hook:
    """Read the signature of a hook that is called with `skip` arguments of ours."""
    return Hook(
        function, title, needs_of(title, function, read_hints(title, function, local_names), skip=skip)
    )


def needs_of(
    title: str, function: Callable[..., Any], hints: Mapping[str, Any], *, skip: int
) -> tuple[Need, ...]:
    """What is to be injected: each parameter after the first `skip` positional ones.

    Raises ConfigurationError if there are fewer than `skip`, or one cannot be matched by type.
    """
    needs = []
    positional = 0
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY and positional < skip:
            positional += 1
            continue
        required = parameter.default is parameter.empty
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if parameter.kind is parameter.POSITIONAL_ONLY and not required:
                continue
            raise ConfigurationError(f"{title} takes `{parameter}`, which cannot be given by name.")
        wanted = _without_none(hints.get(parameter.name))
        if wanted is not None and not is_too_general(wanted):
            needs.append(Need(parameter.name, wanted, required))
        elif required:
            raise ConfigurationError(
                f"{title} takes `{parameter}`, and what is given there is found by its type. Annotate it "
                'with a type of its own: a class, a NewType, or Annotated[str, "name"].'
            )
    if positional < skip:
        raise ConfigurationError(f"{title} takes too few arguments: at least {skip} are needed.")
    return tuple(needs)


def read_hints(title: str, function: Any, local_names: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations of a function, resolved. Raises ConfigurationError for a name that is not there."""
    if not inspect.isroutine(function):
        function = type(function).__call__  # an object that is called like a function
    try:
        return typing.get_type_hints(function, localns=dict(local_names), include_extras=True)
    except NameError as error:
        raise ConfigurationError(
            f"{title} names a type that cannot be found: {error}. Import it outside TYPE_CHECKING."
        ) from error


def is_too_general(wanted: Any) -> bool:
    """No type to find a resource by: anything at all, or what Python is made of (str, dict, list[int], …)."""
    kind = typing.get_origin(wanted) or wanted
    if kind is typing.Annotated:  # what get_origin says of Annotated[str, "name"]
        return False
    return kind in (None, Any) or getattr(kind, "__module__", "") in ("builtins", "types", "typing")


def _without_none(wanted: Any) -> Any:
    """`Database` of `Database | None`: what is optional about it is the default's affair."""
    sides = [side for side in typing.get_args(wanted) if side is not type(None)]
    is_union = typing.get_origin(wanted) in (typing.Union, types.UnionType)
    return sides[0] if is_union and len(sides) == 1 else wanted


def name_of(thing: Any) -> str:
    """A type or function as a message shows it."""
    named = isinstance(thing, type) or inspect.isroutine(thing)
    return thing.__qualname__.rpartition("<locals>.")[2] if named else str(thing)


# Deciding what is opened


@dataclass(frozen=True, slots=True)
class Node:
    """A resource with what it depends on. Equal ones are opened once: the same function, fed the same."""

    function: Callable[..., Any]
    kind: Kind
    arguments: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a type is looked up: among these resources, then among those of the outer scope."""

    title: str
    own: Mapping[Any, Resource]
    outer: Scope | None = None

    @classmethod
    def of(cls, title: str, resources: Iterable[Resource], outer: Scope | None = None) -> Scope:
        """Raises ConfigurationError if two give the same type."""
        own: dict[Any, Resource] = {}
        for resource in resources:
            other = own.setdefault(resource.provides, resource)
            if other.function is not resource.function:
                shown = name_of(resource.provides)
                raise ConfigurationError(
                    f"{title} has two resources that give {shown}: {name_of(other.function)} and "
                    f'{name_of(resource.function)}. Tell them apart by type: Annotated[{shown}, "name"].'
                )
        return cls(title, own, outer)

    def node(self, wanted: Any, path: tuple[Resource, ...] = ()) -> Node | None:
        """What gives a type here, or None. Raises ConfigurationError for a cycle or a missing dependency."""
        resource = self.own.get(wanted)
        if resource is None:
            return None if self.outer is None else self.outer.node(wanted, path)
        if resource in path:
            circle = " -> ".join(name_of(step.function) for step in (*path[path.index(resource) :], resource))
            raise ConfigurationError(f"Resources depend on each other in a circle: {circle}.")
        title = f"The resource {name_of(resource.function)}"
        arguments = self.arguments(title, resource.needs, (*path, resource))
        return Node(resource.function, resource.kind, arguments)

    def arguments(
        self, title: str, needs: Sequence[Need], path: tuple[Resource, ...] = ()
    ) -> tuple[tuple[str, Node], ...]:
        """A node for each need. Raises ConfigurationError, naming the type that nothing gives."""
        found = []
        for need in needs:
            node = self.node(need.type, path)
            if node is not None:
                found.append((need.parameter, node))
            elif need.required:
                raise ConfigurationError(
                    f"{title} asks for {name_of(need.type)} (parameter {need.parameter!r}), and {self.title} "
                    f"has no resource that gives it. Declare one with @queue.resource, or give the worker "
                    "one: Worker(..., resources=[...])."
                )
        return tuple(found)

    def all(self) -> list[Node]:
        """A node for each resource of this scope, in the order of their declaration."""
        return [node for wanted in self.own if (node := self.node(wanted)) is not None]


@dataclass(slots=True)
class OpeningOrder:
    """Nodes, each after what it depends on."""

    nodes: dict[Node, None] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        if node not in self.nodes:
            for _, needed in node.arguments:
                self.add(needed)
            self.nodes[node] = None
