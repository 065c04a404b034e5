"""What kind of failure it was, told from traces as Python and Node really write them."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.deadletters.fingerprint import Fingerprint, fingerprint, without_ids
from corral.deadletters.stacks import read_stack
from corral.errors import KilledItsWorker
from corral.worker.traces import format_trace

PLAIN = """Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/corral/worker/execute.py", line 120, in _call
    value = await definition.handler(context, data)
  File "/srv/shop/jobs/orders.py", line 41, in ship
    reserve(order)
  File "/srv/shop/jobs/stock.py", line 12, in reserve
    raise OutOfStock(f"no {order.sku} left")
shop.errors.OutOfStock: no A-1 left
"""

IN_LIBRARY = """Traceback (most recent call last):
  File "/srv/shop/jobs/orders.py", line 44, in ship
    answer = await client.post(url)
  File "/srv/venv/lib/python3.11/site-packages/httpx2/_client.py", line 1905, in post
    return await self.request(
  File "/usr/lib/python3.11/asyncio/tasks.py", line 489, in wait_for
    return fut.result()
httpx2.ConnectTimeout
"""

CHAINED = """Traceback (most recent call last):
  File "/srv/shop/jobs/parse.py", line 3, in parse
    return int(text)
ValueError: invalid literal for int() with base 10: '12a'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop/jobs/orders.py", line 50, in ship
    raise BadOrder("order 77 cannot be read") from error
shop.errors.BadOrder: order 77 cannot be read
"""

MANY_LINES = """Traceback (most recent call last):
  File "/srv/shop/jobs/sql.py", line 9, in load
    cursor.execute(query)
psycopg.errors.SyntaxError: syntax error at or near "FORM"
LINE 1: SELECT * FORM orders
                 ^
"""

GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/srv/shop/jobs/fan.py", line 5, in fan
  |     raise ExceptionGroup("both", errors)
  | ExceptionGroup: both (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: a
    +---------------- 2 ----------------
    | KeyError: 'b'
    +------------------------------------
"""

BUILT_IN_QUEUE = """Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/corral/worker/execute.py", line 120, in _call
    value = await definition.handler(context, data)
  File "/srv/venv/lib/python3.11/site-packages/corral/queues/email_sending.py", line 88, in deliver
    await provider.send(message)
  File "/srv/venv/lib/python3.11/site-packages/corral/providers/http.py", line 160, in send
    raise ProviderRetryable(self.name, "503")
corral.providers.errors.ProviderRetryable: sendgrid: 503
"""

NODE = """TypeError: Cannot read properties of undefined (reading 'sku')
    at reserve (/srv/app/dist/stock.js:12:23)
    at async ship (file:///srv/app/dist/orders.js:41:9)
    at async Worker.callProcessJob (/srv/app/node_modules/bullmq/dist/cjs/classes/worker.js:126:20)
"""

NODE_IN_LIBRARY = """AxiosError: Request failed with status code 503
    at settle (/srv/app/node_modules/axios/lib/core/settle.js:19:12)
    at IncomingMessage.handleStreamEnd (/srv/app/node_modules/axios/lib/adapters/http.js:599:11)
    at node:internal/process/task_queues:140:7
    at async Object.<anonymous> (/srv/app/dist/orders.js:41:9)
"""

NODE_ANONYMOUS = """Error: order 12 is closed
    at /srv/app/dist/orders.js:7:11
    at processTicksAndRejections (node:internal/process/task_queues:95:5)
"""

NODE_MESSAGE_OF_LINES = """ValidationError [ERR_BAD]: 2 problems:
 - sku is missing
 - at least one address (home) is needed
    at check (/srv/app/dist/check-4F2A91BC.js:3:9)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
"""

NODE_WINDOWS = "Error: x\n    at ship (C:\\app\\dist\\orders.js:7:11)\n"


@pytest.mark.parametrize(
    ("trace", "error", "frame"),
    [
        (PLAIN, "shop.errors.OutOfStock", "jobs/stock.py in reserve"),
        (IN_LIBRARY, "httpx2.ConnectTimeout", "jobs/orders.py in ship"),
        (CHAINED, "shop.errors.BadOrder", "jobs/orders.py in ship"),
        (MANY_LINES, "psycopg.errors.SyntaxError", "jobs/sql.py in load"),
        (GROUP, "ExceptionGroup", "jobs/fan.py in fan"),
        (BUILT_IN_QUEUE, "corral.providers.errors.ProviderRetryable", "queues/email_sending.py in deliver"),
        (NODE, "TypeError", "dist/stock.js in reserve"),
        (NODE_IN_LIBRARY, "AxiosError", "dist/orders.js in Object.<anonymous>"),
        (NODE_ANONYMOUS, "Error", "dist/orders.js"),
        (NODE_MESSAGE_OF_LINES, "ValidationError", "dist/check-<id>.js in check"),
        (NODE_WINDOWS, "Error", "dist/orders.js in ship"),
    ],
)
def test_error_and_own_frame_of_real_traces(trace: str, error: str, frame: str) -> None:
    kind = fingerprint("ship", "whatever it said", [trace])
    assert (kind.error, kind.frame, kind.name, kind.text) == (error, frame, "ship", "")


def test_what_the_worker_writes_is_understood() -> None:
    def inner(n: int) -> None:
        raise LookupError(f"no {n}")

    kinds = set()
    for n in (1, 2):
        try:
            inner(n)
        except LookupError as error:
            kinds.add(fingerprint("x", str(error), [format_trace(error)]))
            kinds.add(fingerprint("x", str(error), ["".join(traceback.format_exception(error))]))
    (kind,) = kinds
    assert (kind.error, kind.frame) == ("LookupError", "unit/test_dead_fingerprints.py in inner")


def test_lines_texts_and_roots_do_not_split() -> None:
    other = PLAIN.replace("/srv/", "/home/mia/src/").replace("line 12", "line 77").replace("A-1", "B-2")
    assert fingerprint("ship", "a", [PLAIN]).id == fingerprint("ship", "b", [other]).id


def test_error_place_and_name_do_split() -> None:
    others = [
        fingerprint("ship", "x", [PLAIN]),
        fingerprint("bill", "x", [PLAIN]),
        fingerprint("ship", "x", [PLAIN.replace("OutOfStock:", "Closed:")]),
        fingerprint("ship", "x", [PLAIN.replace("in reserve", "in release")]),
    ]
    assert len({kind.id for kind in others}) == 4


def test_the_last_attempt_counts() -> None:
    assert fingerprint("ship", "x", [NODE, PLAIN]) == fingerprint("ship", "x", [PLAIN])


@pytest.mark.parametrize(
    "kind",
    [
        "KilledItsWorker",
        "UnknownNameExpired",
        "UndecodableData",
        "HoldExpired",
        "AttemptTimeout",
        "JobExpired",
    ],
)
def test_what_corral_decided_goes_by_that(kind: str) -> None:
    trace = PLAIN.replace("shop.errors.OutOfStock: no A-1 left", f"corral.errors.{kind}: some text 12")
    assert fingerprint("ship", "text 12", [trace]) == Fingerprint(kind, "", "ship")


def test_killed_jobs_are_one_kind_whoever_sentenced_them() -> None:
    ours = fingerprint("ship", "x", [format_trace(KilledItsWorker("The process died 2 times."))])
    bullmq = fingerprint("ship", "job stalled more than allowable limit", [])
    assert ours == bullmq == Fingerprint("KilledItsWorker", "", "ship")


def test_cancelled_jobs_are_one_kind() -> None:
    assert fingerprint(
        "ship", "Cancelled: by user 7", ["Cancelled: by user 7"], cancelled=True
    ) == Fingerprint("JobCancelled", "", "ship")


def test_without_a_stack_the_reason_counts_without_what_varies() -> None:
    first = fingerprint("ship", "child bull:orders:12 of 3f2a91bc77aa failed for mia@example.com", [])
    second = fingerprint("ship", "child bull:orders:9 of 77aa3f2a91bc failed for leo@example.org", [])
    assert first == second
    assert first != fingerprint("ship", "something else", [])


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("order 77 is 12.5 late", "order <n> is <n> late"),
        ("no job 6f9619ff-8b86-d011-b42d-00cf4fc964ff", "no job <id>"),
        ("GET https://x.test/a?b=1 failed", "GET <url> failed"),
        ("user 'mia' has \"12\"", "user <text> has <text>"),
        ("two\n lines", "two lines"),
        ("at 0x7f3a2b", "at <n>"),
        ("connection refused", "connection refused"),
    ],
)
def test_what_varies_is_replaced(text: str, tidy: str) -> None:
    assert without_ids(text) == tidy


def test_names_with_ids_are_one_name() -> None:
    assert (
        fingerprint("order-1234567890", "x", [PLAIN]).id == fingerprint("order-9876543210", "x", [PLAIN]).id
    )


@given(st.lists(st.text(), max_size=3), st.text(), st.text())
def test_nonsense_has_a_fingerprint_too(traces: list[str], reason: str, name: str) -> None:
    assert len(fingerprint(name, reason, traces).id) == 12


@given(st.text(alphabet=' \n\tat():/."File,line0in|+-TracebE', max_size=300))
def test_almost_traces_do_no_harm(text: str) -> None:
    read_stack(text)


def test_a_huge_trace_is_read_quickly() -> None:
    """It is bounded by who writes it, but Node writes what it likes: no pattern may take a second on it."""
    assert read_stack("    at " + "(" * 50_000).error == ""
    assert read_stack('  File "' + "a" * 50_000).error == ""
    assert len(fingerprint("x", "a1" * 50_000 + "@" * 1_000, []).id) == 12
