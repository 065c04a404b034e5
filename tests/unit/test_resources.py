"""What a resource's signature says, and what is opened in which order."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any, NewType

import pytest

from corral import JobContext, Queue, Settings
from corral.errors import ConfigurationError
from corral.resources import Need, Node, OpeningOrder, Resource, Scope, declare_resource
from corral.worker.around import Equipment


class Database: ...


class Pool: ...


class Cache: ...


Replica = Annotated[Database, "replica"]
Region = NewType("Region", str)


class Client:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool


async def database(pool: Pool) -> AsyncIterator[Database]:
    yield Database()


async def replica() -> AsyncGenerator[Replica, None]:
    yield Database()


def pool(settings: Settings) -> Iterator[Pool]:
    yield Pool()


async def cache() -> Cache:
    return Cache()


def region() -> Region:
    return Region("eu")


@contextlib.asynccontextmanager
async def managed() -> AsyncIterator[Database]:
    yield Database()


def declared(function: Any) -> Resource:
    return declare_resource(function, {})


@pytest.mark.parametrize(
    ("function", "kind", "provides"),
    [
        (database, "async generator", Database),
        (replica, "async generator", Replica),
        (managed, "async generator", Database),
        (pool, "generator", Pool),
        (cache, "value", Cache),
        (region, "value", Region),
        (Client, "class", Client),
    ],
)
def test_its_annotation_says_what_it_gives(function: Any, kind: str, provides: Any) -> None:
    resource = declared(function)
    assert (resource.kind, resource.provides) == (kind, provides)


def test_its_parameters_are_what_it_needs() -> None:
    assert declared(database).needs == (Need("pool", Pool, True),)
    assert declared(Client).needs == (Need("pool", Pool, True),)
    assert declared(cache).needs == ()


async def says_nothing():  # type: ignore[no-untyped-def]  # the point
    yield 1


async def says_what_it_yields_wrongly() -> Database:  # type: ignore[misc]  # the point
    yield Database()


def gives_text() -> str:
    return "eu"


def takes_text(name: str) -> Database:
    return Database()


def takes_all(**names: Database) -> Database:
    return Database()


@pytest.mark.parametrize(
    "function", [says_nothing, says_what_it_yields_wrongly, gives_text, takes_text, takes_all, Database()]
)
def test_a_signature_that_cannot_be_matched_by_type_is_refused(function: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"The resource .*"):
        declared(function)


def test_types_beside_a_nested_resource_are_found() -> None:
    class Local: ...

    queue = Queue("orders")

    @queue.resource
    def local() -> Local:
        return Local()

    assert [resource.provides for resource in queue.resources] == [Local]


# Finding


def scope(*functions: Callable[..., Any], outer: Scope | None = None) -> Scope:
    return Scope.of("this worker", map(declared, functions), outer)


def settings() -> Settings:
    raise NotImplementedError


def test_a_resource_is_opened_after_what_it_needs() -> None:
    found = scope(database, pool, settings)
    order = OpeningOrder()
    for node in found.all():
        order.add(node)
    assert [node.function for node in order.nodes] == [settings, pool, database]


def test_the_queues_own_resource_wins_over_the_workers() -> None:
    def other() -> Cache:
        return Cache()

    outer = scope(cache, region)
    inner = scope(other, outer=outer)
    assert inner.node(Cache) == Node(other, "value", ())
    assert inner.node(Region) == Node(region, "value", ())
    assert outer.node(Cache) == Node(cache, "value", ())


def test_the_same_function_fed_the_same_is_one_resource() -> None:
    outer = scope(pool, settings)
    one, other = scope(database, outer=outer), scope(database, outer=outer)
    assert one.node(Database) == other.node(Database)

    def own_pool() -> Pool:
        return Pool()

    assert scope(database, own_pool, outer=outer).node(Database) != one.node(Database)


def test_a_missing_resource_is_named_with_who_asks_and_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"resource database asks for Pool.*'pool'.*@queue.resource"):
        scope(database).all()


def test_one_that_has_a_default_may_be_missing() -> None:
    needs = (Need("cache", Cache, False),)
    assert scope(region).arguments("The handler", needs) == ()
    assert scope(cache).arguments("The handler", needs) == (("cache", Node(cache, "value", ())),)


def test_a_circle_is_named() -> None:
    def hen(egg: Pool) -> Cache:
        return Cache()

    def egg(hen: Cache) -> Pool:
        return Pool()

    with pytest.raises(ConfigurationError, match="hen -> egg -> hen"):
        scope(hen, egg).all()


def test_two_that_give_the_same_are_refused_when_declared() -> None:
    queue = Queue("orders")
    queue.resource(managed)
    queue.resource(managed)  # the same one again is no contradiction
    with pytest.raises(ConfigurationError, match=r"managed and database.*Annotated\[Database"):
        queue.resource(database)
    assert len(queue.resources) == 1


def test_a_middleware_is_async_and_takes_the_job_and_what_runs_it() -> None:
    queue = Queue("orders")

    def blocking(job: JobContext, run: Any) -> None: ...
    async def alone(job: JobContext) -> None: ...

    for function in (blocking, alone):
        with pytest.raises(ConfigurationError, match=function.__name__):
            queue.middleware(function)

    async def timing(job: JobContext, run: Any, store: Cache) -> Any: ...

    assert queue.middleware(timing) is timing
    assert queue.middlewares[0].needs == (Need("store", Cache, True),)


def test_resources_stay_in_their_process() -> None:
    class Warehouse: ...

    queue = Queue("events")
    queue.resource(Warehouse)

    @queue.job("build")
    async def build(job: JobContext, *, warehouse: Warehouse) -> None: ...

    Equipment([queue], [], [], Settings.load())
    elsewhere: Any = "process"
    queue.jobs["build"] = replace(queue.jobs["build"], isolation=elsewhere)
    with pytest.raises(ConfigurationError, match="'build' in queue 'events' runs in another process"):
        Equipment([queue], [], [], Settings.load())
