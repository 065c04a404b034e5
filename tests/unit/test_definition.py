"""What a queue learns from a handler's signature."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from corral import Batch, JobContext, Queue, ThreadJobContext
from corral.definition import JobDefinition, define
from corral.errors import ConfigurationError, InvalidData
from corral.resources import Need

if TYPE_CHECKING:
    from decimal import Decimal


class Order(msgspec.Struct):
    number: int


@dataclass
class Receipt:
    total: float


def defined(handler: Any) -> JobDefinition:
    return define("build", handler, {})


def test_data_and_result_types_come_from_the_annotations() -> None:
    async def handler(job: JobContext, data: Order) -> Receipt:
        return Receipt(data.number)

    definition = defined(handler)
    assert (definition.name, definition.data_type, definition.result_type) == ("build", Order, Receipt)
    assert (definition.isolation, definition.takes_data) == ("async", True)
    assert definition.handler is handler
    assert definition.decode_data(b'{"number":7}') == Order(7)
    assert definition.decode_result(b'{"total":1.5}') == Receipt(1.5)
    with pytest.raises(InvalidData):
        definition.decode_data(b'{"number":"x"}')


def test_a_plain_function_runs_in_a_thread() -> None:
    def handler(job: ThreadJobContext, data: Order) -> None: ...

    definition = defined(handler)
    assert definition.isolation == "thread"
    assert definition.decode_result(b"null") is None


@pytest.mark.parametrize(
    "handler",
    [
        lambda job, data: None,
        lambda job, data=None: None,
    ],
    ids=["two", "default"],
)
def test_no_annotation_means_plain_json(handler: Any) -> None:
    definition = defined(handler)
    assert definition.takes_data
    assert definition.decode_data(b'{"a":[1]}') == {"a": [1]}
    assert definition.decode_result(b'"x"') == "x"


def test_a_handler_may_leave_its_data_out() -> None:
    async def handler(job: JobContext) -> int:
        return 1

    definition = defined(handler)
    assert not definition.takes_data
    assert definition.decode_data(b"[]") == []
    assert definition.decode_result(b"1") == 1


def test_the_name_of_the_data_parameter_is_free() -> None:
    async def handler(context: JobContext, order: Order) -> None: ...

    assert defined(handler).data_type is Order


class Store: ...


class Mailer: ...


class Service:
    async def build(self, job: JobContext, data: Order) -> Receipt:
        return Receipt(data.number)


class Callback:
    async def __call__(self, job: JobContext, data: Order) -> Receipt:
        return Receipt(data.number)


async def with_tenant(tenant: str, job: JobContext, data: Order) -> Receipt:
    return Receipt(data.number)


@pytest.mark.parametrize(
    "handler",
    [Service().build, Callback(), functools.partial(with_tenant, "t-1")],
    ids=["method", "callable object", "partial"],
)
def test_anything_that_can_be_awaited_like_a_function(handler: Any) -> None:
    definition = defined(handler)
    assert definition.isolation == "async"
    assert (definition.data_type, definition.result_type) == (Order, Receipt)


def test_types_declared_beside_a_nested_handler_are_found() -> None:
    """Annotations are text here (see the import above), and the names of a function are not global."""

    class Local(msgspec.Struct):
        size: int

    class LocalResult(NamedTuple):
        done: bool

    queue = Queue("orders")

    @queue.job("build")
    async def build(job: JobContext, data: Local) -> list[LocalResult]:
        return [LocalResult(True)]

    definition = queue.jobs["build"]
    assert definition.data_type is Local
    assert definition.decode_data(b'{"size":3}') == Local(3)
    assert definition.decode_result(b"[[true]]") == [LocalResult(True)]


def test_a_type_imported_for_the_type_checker_alone_is_an_error_that_says_so() -> None:
    async def handler(job: JobContext, data: Decimal) -> None: ...

    with pytest.raises(ConfigurationError, match=r"'build'.*Decimal.*TYPE_CHECKING"):
        defined(handler)


async def no_parameters() -> None: ...
async def three_parameters(job: JobContext, data: Order, more: int) -> None: ...
async def unannotated(job: JobContext, data: Order, store) -> None: ...  # type: ignore[no-untyped-def]  # the point
async def data_by_name(job: JobContext, *, data: Order) -> None: ...
async def gathers_all(*arguments: Any) -> None: ...
async def gathers_names(job: JobContext, **data: Any) -> None: ...
async def generates(job: JobContext, data: Order) -> Any:
    yield 1


def generates_in_a_thread(job: ThreadJobContext, data: Order) -> Any:
    yield 1


@pytest.mark.parametrize(
    "handler",
    [
        no_parameters,
        three_parameters,
        unannotated,
        data_by_name,
        gathers_all,
        gathers_names,
        generates,
        generates_in_a_thread,
    ],
    ids=lambda handler: handler.__name__,
)
def test_another_signature_is_refused_when_declared(handler: Any) -> None:
    """Not when the first job of the name runs."""
    with pytest.raises(ConfigurationError, match="'build'"):
        defined(handler)


def test_what_follows_job_and_data_is_a_resource() -> None:
    async def handler(
        job: JobContext, data: Order, store: Store, *, mailer: Mailer | None = None
    ) -> None: ...

    assert defined(handler).needs == (Need("store", Store, True), Need("mailer", Mailer, False))


def test_keyword_only_parameters_are_resources_also_without_data() -> None:
    async def handler(job: JobContext, *, store: Store) -> None: ...

    definition = defined(handler)
    assert not definition.takes_data
    assert definition.needs == (Need("store", Store, True),)


def test_a_parameter_that_no_resource_can_fill_keeps_its_default() -> None:
    async def handler(job: JobContext, data: Order, dry_run: bool = False, label=None) -> None:  # type: ignore[no-untyped-def]  # unannotated on purpose
        ...

    assert defined(handler).needs == ()


def test_a_batch_has_the_types_of_one_job() -> None:
    async def handler(jobs: list[JobContext], data: list[Order]) -> list[Receipt | Exception] | None: ...

    definition = define("build", handler, {}, batch=Batch(size=2))
    assert definition.data_type is Order
    assert definition.result_type is Receipt
    assert definition.decode_data(b'{"number":7}') == Order(7)
    with pytest.raises(ConfigurationError, match=r"'build'.*list\[DataType\]"):
        define("build", Service().build, {}, batch=Batch(size=2))


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'build'"):
        defined("corral.handlers:build")


def test_a_name_is_taken_once() -> None:
    queue = Queue("orders")

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    with pytest.raises(ConfigurationError, match=r"'orders'.*'build'"):
        queue.job("build")(build)


def test_the_decorator_leaves_the_function_as_it_was() -> None:
    queue = Queue("orders")

    async def build(job: JobContext) -> int:
        return 1

    assert queue.job("build")(build) is build
