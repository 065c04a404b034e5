"""The description of the API for every kind of data that a queue can declare."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest
from openapi_spec_validator import validate

from corral import JobContext, Queue
from corral.api.openapi import document


class AStruct(msgspec.Struct, rename="camel"):
    user_id: str


@dataclass
class ADataclass:
    width: int


class ATypedDict(TypedDict):
    event: str


class Inner(pydantic.BaseModel):
    street: str


class AModel(pydantic.BaseModel):
    inner: Inner


@pytest.fixture
def described() -> dict[str, Any]:
    queue = Queue("kinds")

    @queue.job("struct")
    async def struct(job: JobContext, data: AStruct) -> None: ...

    @queue.job("dataclass")
    async def dataclass_(job: JobContext, data: ADataclass) -> None: ...

    @queue.job("typed-dict")
    async def typed_dict(job: JobContext, data: ATypedDict) -> None: ...

    @queue.job("model")
    async def model(job: JobContext, data: AModel) -> None: ...

    @queue.job("list")
    async def list_(job: JobContext, data: list[int]) -> None: ...

    @queue.job("anything")
    async def anything(job: JobContext, data: Any) -> None: ...

    @queue.job("nothing")
    async def nothing(job: JobContext) -> None: ...

    return document({"kinds": queue})


def test_it_is_valid_json_and_openapi(described: dict[str, Any]) -> None:
    validate(json.loads(json.dumps(described)))


def test_every_kind_of_data_is_described(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    assert schemas["AStruct"]["properties"] == {"userId": {"type": "string"}}
    assert schemas["ADataclass"]["properties"] == {"width": {"type": "integer"}}
    assert schemas["ATypedDict"]["properties"] == {"event": {"type": "string"}}
    assert schemas["Inner"]["required"] == ["street"]
    path = described["paths"]["/v1/queues/kinds/jobs"]["post"]
    options = path["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    data = {o["properties"]["name"]["const"]: o["properties"]["data"] for o in options}
    assert data["struct"] == {"$ref": "#/components/schemas/AStruct"}
    assert data["model"]["properties"] == {"inner": {"$ref": "#/components/schemas/Inner"}}
    assert data["list"] == {"type": "array", "items": {"type": "integer"}}
    assert data["anything"] == {}
    assert data["nothing"] == {}


def test_routes_of_queues_that_are_not_declared_are_left_out(described: dict[str, Any]) -> None:
    assert "/verify-kyc" not in described["paths"]
    assert "/webhooks/onfido" not in described["paths"]
    assert "/v1/queues/{queue}/jobs" in described["paths"]


def test_no_queue_at_all_is_still_a_service() -> None:
    validate(json.loads(json.dumps(document({}))))


def test_all_but_probes_and_webhooks_ask_for_a_key() -> None:
    described = document({"kyc-verification": Queue("kyc-verification")})
    assert described["security"] == [{"key": []}]
    open_paths = {
        p for p, item in described["paths"].items() if all(op.get("security") == [] for op in item.values())
    }
    assert open_paths == {"/healthz", "/readyz", "/webhooks/onfido", "/webhooks/idenfy"}
    mail = document({"email": Queue("email")})
    validate(json.loads(json.dumps(mail)))
    webhooks = {path for path in mail["paths"] if path.startswith("/webhooks/")}
    assert webhooks == {"/webhooks/sendgrid", "/webhooks/mailgun"}
    assert all(mail["paths"][path]["post"]["security"] == [] for path in webhooks)
