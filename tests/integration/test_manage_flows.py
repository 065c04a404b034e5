"""Flows in the management API: what waits for children, the tree around a job, and what repairs them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from http_service import READ, Service, serving
from running_worker import Redis, drain

from corral import Flow, JobContext, OnFailure, Queue, Retry
from eventually import eventually

ONCE = Retry(attempts=1)
API = "/api/v1"


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as made:
        yield made


class Press:
    """Two queues: `books` whose parent collects, `pages` whose children fail as long as `broken` says so."""

    def __init__(self, redis_url: str) -> None:
        self.books = Queue("books", redis_url=redis_url, prefix="bull", retry=ONCE)
        self.pages = Queue("pages", redis_url=redis_url, prefix="bull", retry=ONCE)
        self.broken = True

        @self.books.job("bind")
        async def bind(job: JobContext) -> list[Any]:
            values, ignored = await job.children_values(), await job.ignored_failures()
            return [sorted(values.values()), sorted(ignored.values())]

        @self.pages.job("print")
        async def print_(job: JobContext, number: int) -> int:
            if number < 0 and self.broken:
                raise ValueError(f"no paper for {number}")
            return number

    def flow(self, *numbers: int, on_failure: OnFailure = OnFailure.FAIL_PARENT) -> Flow:
        leaves = [Flow(self.pages, "print", number, on_failure=on_failure) for number in numbers]
        return Flow(self.books, "bind", children=leaves)


@pytest.fixture
async def press(redis_url: str) -> AsyncIterator[Press]:
    made = Press(redis_url)
    yield made
    await made.books.close()
    await made.pages.close()


async def without_policy(redis: Redis, flow: Flow) -> None:
    """As Node's FlowProducer adds it when nothing is said of failures."""
    assert flow.job is not None
    link = {"id": flow.job.id, "queueKey": "bull:books"}
    for child in flow.children:
        assert child.job is not None
        await redis.hset(f"bull:pages:{child.job.id}", "parent", json.dumps(link))


async def read(service: Service, path: str, **query: Any) -> Any:
    answer = await service.http.get(API + path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def act(service: Service, path: str) -> Any:
    answer = await service.http.post(API + path)
    assert answer.status_code in (200, 204), answer.text
    return answer.json() if answer.content else None


async def trail(service: Service) -> list[tuple[str, Any]]:
    entries = (await read(service, "/audit"))["entries"]
    return [(row["action"], row["facts"]) for row in entries if row["action"].startswith("flow.")]


async def test_what_waits_is_listed_with_what_it_waits_for(service: Service, press: Press) -> None:
    waiting = await press.flow(1, 2, 3).add()
    await press.flow(7).add()
    found = await read(service, "/flows")
    assert (found["searched"], found["total"], found["cursor"], found["queues"]) == (2, 2, None, {"books": 2})
    row = found["flows"][0]
    assert (row["queue"], row["id"], row["name"]) == ("books", waiting.id, "bind")
    assert (row["pending"], row["completed"], row["stuck"], row["parent"]) == (3, 0, None, None)
    assert {(child["queue"], child["name"], child["status"]) for child in row["some"]} == {
        ("pages", "print", "waiting")
    }
    assert (await read(service, "/flows", queue="pages"))["flows"] == []
    answer = await service.http.get(f"{API}/flows", params={"cursor": "x"})
    assert answer.status_code == 422


async def test_many_are_paged_and_told_how_many_were_looked_at(service: Service, press: Press) -> None:
    made = {(await press.flow(number).add()).id for number in range(130)}
    first = await read(service, "/flows")
    assert (len(first["flows"]), first["searched"], first["total"]) == (100, 100, 130)
    rest = await read(service, "/flows", cursor=first["cursor"])
    assert (len(rest["flows"]), rest["searched"], rest["cursor"]) == (30, 130, None)
    assert {row["id"] for row in first["flows"] + rest["flows"]} == made


async def test_jobs_of_a_group_are_no_parents(service: Service, press: Press) -> None:
    """They lie in the same set while they have not their turn."""
    for number in range(3):
        await press.pages.add("print", number, group="one")
    await press.pages.groups.pause("one")
    assert (await read(service, "/flows"))["total"] == 0
    assert await press.pages.stuck_parents(older_than=0) == []


async def test_a_tree_is_shown_from_its_root(service: Service, press: Press) -> None:
    flow = Flow(press.books, "bind", children=[press.flow(1, -2, on_failure=OnFailure.IGNORE)])
    root = await flow.add()
    inner = flow.children[0]
    assert inner.job is not None
    leaf = inner.children[1].job
    assert leaf is not None
    await drain(press.pages)
    found = await read(service, f"/queues/pages/jobs/{leaf.id}/flow")
    assert (found["root"], found["job"]) == (
        {"queue": "books", "id": root.id},
        {"queue": "pages", "id": leaf.id},
    )
    assert [node["id"] for node in found["nodes"][:2]] == [root.id, inner.job.id]
    assert found["cut"] is False
    by_id = {node["id"]: node for node in found["nodes"]}
    failed = by_id[leaf.id]
    assert (failed["status"], failed["outcome"], failed["onFailure"]) == ("failed", "ignored", "ignore")
    assert failed["parent"] == {"queue": "books", "id": inner.job.id}
    assert failed["failedReason"] == "no paper for -2"
    assert by_id[root.id]["stuck"] is None
    assert {node["result"] for node in found["nodes"]} == {None, "1"}
    hidden = (
        await service.http.get(
            f"{API}/queues/pages/jobs/{leaf.id}/flow", headers={"Authorization": f"Bearer {READ}"}
        )
    ).json()
    assert hidden["redacted"] is True
    assert {(node["result"], node["failedReason"]) for node in hidden["nodes"]} == {(None, None)}
    assert (await service.http.get(f"{API}/queues/pages/jobs/nobody/flow")).status_code == 404


async def test_the_job_itself_is_shown_among_very_many(service: Service, press: Press) -> None:
    flow = press.flow(*range(300))
    root = await flow.add()
    shown = set()
    for leaf in (flow.children[0], flow.children[150], flow.children[299]):
        assert leaf.job is not None
        found = await read(service, f"/queues/pages/jobs/{leaf.job.id}/flow")
        assert found["cut"] is True
        assert len(found["nodes"]) <= 200
        shown |= {leaf.job.id} & {node["id"] for node in found["nodes"]}
    assert len(shown) == 3
    cursor, ids = None, set()
    while True:
        page = await read(
            service, f"/queues/books/jobs/{root.id}/children", **({"cursor": cursor} if cursor else {})
        )
        ids |= {child["id"] for child in page["children"]}
        cursor = page["cursor"]
        if cursor is None:
            break
    assert ids == {leaf.job.id for leaf in flow.children if leaf.job}


async def test_of_many_children_the_failed_ones_are_shown_first(service: Service, press: Press) -> None:
    flow = press.flow(*range(1, 60), -60)
    root = await flow.add()
    await drain(press.pages)
    found = await read(service, f"/queues/books/jobs/{root.id}/flow")
    failed = flow.children[-1].job
    assert failed is not None
    assert [node["id"] for node in found["nodes"][:2]] == [root.id, failed.id]
    assert len(found["nodes"]) == 21


async def test_a_child_that_failed_silently_is_retried_and_its_parent_completes(
    service: Service, press: Press, redis: Redis
) -> None:
    flow = press.flow(1, -2)
    parent = await flow.add()
    await without_policy(redis, flow)
    await drain(press.pages)
    (row,) = (await read(service, "/flows"))["flows"]
    assert row["stuck"]["reason"] == "child_failed"
    assert [child["queue"] for child in row["stuck"]["children"]] == ["pages"]
    press.broken = False
    done = await act(service, f"/queues/books/jobs/{parent.id}/children/retry")
    assert done == {"retried": 1, "parents": 0, "left": 0}
    await drain(press.books, press.pages)
    assert await parent.result(timeout=10) == [[-2, 1], []]
    assert await trail(service) == [("flow.retry_children", {"retried": 1, "parents": 0})]


async def test_a_failed_tree_waits_again_for_the_children_that_failed_it(
    service: Service, press: Press
) -> None:
    flow = Flow(press.books, "bind", children=[press.flow(1, -2, -3)])
    root = await flow.add()
    inner = flow.children[0].job
    assert inner is not None
    await drain(press.pages, press.books)
    assert (await root.refresh()).status == "failed"
    press.broken = False
    done = await act(service, f"/queues/books/jobs/{inner.id}/children/retry")
    assert done == {"retried": 2, "parents": 2, "left": 0}
    for job in (root, inner):
        assert (await job.refresh()).status == "waiting-children"
    assert await press.books.stuck_parents(older_than=0) == []
    await drain(press.pages, press.books)
    assert await inner.result(timeout=10) == [[-3, -2, 1], []]
    assert await root.result(timeout=10) == [[[[-3, -2, 1], []]], []]


async def test_without_a_failed_child_nothing_is_retried(service: Service, press: Press) -> None:
    parent = await press.flow(1).add()
    done = await act(service, f"/queues/books/jobs/{parent.id}/children/retry")
    assert done == {"retried": 0, "parents": 0, "left": 0}
    await drain(press.pages, press.books)
    answer = await service.http.post(f"{API}/queues/books/jobs/{parent.id}/children/retry")
    assert (answer.status_code, "it is completed" in answer.text) == (409, True)
    answer = await service.http.post(f"{API}/queues/books/jobs/nobody/children/retry")
    assert answer.status_code == 404


async def test_a_stuck_parent_is_released(service: Service, press: Press, redis: Redis) -> None:
    flow = press.flow(1, -2)
    parent = await flow.add()
    await without_policy(redis, flow)
    await drain(press.pages)
    assert await act(service, f"/queues/books/jobs/{parent.id}/release") == {"released": True}
    await drain(press.books)
    assert await parent.result(timeout=10) == [[1], ["no paper for -2"]]
    assert (await service.http.post(f"{API}/queues/books/jobs/{parent.id}/release")).status_code == 404


async def test_what_has_not_run_is_removed_and_the_parent_goes_on(service: Service, press: Press) -> None:
    parent = await press.flow(1, 2, 3).add()
    await act(service, f"/queues/books/jobs/{parent.id}/children/remove-unprocessed")
    assert (await read(service, f"/queues/books/jobs/{parent.id}"))["children"]["pending"] == 0
    await drain(press.books)
    assert await parent.result(timeout=10) == [[], []]
    assert await trail(service) == [("flow.remove_children", {"removed": 3, "left": 0})]

    async def gone() -> bool:
        return bool((await read(service, "/flows"))["total"] == 0)

    await eventually(gone)
    answer = await service.http.post(f"{API}/queues/books/jobs/nobody/children/remove-unprocessed")
    assert answer.status_code == 404


async def test_only_operators_change_flows(service: Service, press: Press) -> None:
    parent = await press.flow(1).add()
    for path in ("children/retry", "children/remove-unprocessed", "release"):
        answer = await service.http.post(
            f"{API}/queues/books/jobs/{parent.id}/{path}", headers={"Authorization": f"Bearer {READ}"}
        )
        assert answer.status_code == 403, path
    assert (await parent.refresh()).status == "waiting-children"
