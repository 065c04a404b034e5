"""The child process: takes jobs from its worker over a socket, one at a time, and runs their handlers.

Started by `child` as `python -m corral.worker.processes.main SOCKET LIFELINE`.

The handler runs in the main thread, as a script would; another thread reads the socket. Told to end, it
interrupts the handler (with SIGTERM, from inside), so that it can clean up; what still runs a moment later is
killed. A SIGTERM from elsewhere is not meant for it: a service manager sends one to every process of a
service that stops, and the running jobs have their grace time.

When the worker is gone, the child ends at once with everything that its handlers started. The closed socket
tells the thread that reads it. That thread cannot run while native code keeps the interpreter's lock, so on
Linux the kernel itself is asked to kill the process group when the worker's end of a pipe, the lifeline,
closes (O_ASYNC with F_SETSIG).

Standard output belongs to the worker's results, so what a handler prints goes to standard error, as do logs.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import inspect
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import Any, NoReturn

from corral.context import Suspended
from corral.data import encode
from corral.definition import JobDefinition, define
from corral.errors import InvalidData, UndecodableData, Unrecoverable
from corral.observe.logs import configure_logs
from corral.observe.traces import configure_traces, flush_traces
from corral.tracing import continued
from corral.worker.processes.context import AsyncProcessJobContext, ProcessJobContext
from corral.worker.processes.failures import pack, unpack
from corral.worker.processes.handlers import load
from corral.worker.processes.messages import (
    LENGTH,
    MAX_FRAME_BYTES,
    Answer,
    Ask,
    Done,
    FromChild,
    Raised,
    Ready,
    Run,
    Started,
    decode_from_worker,
    frame,
)


class Told(SystemExit):
    """The worker wants this child to end. No Exception: a handler's `except` must not keep it."""


class Line:
    """The socket to the worker. Any thread may send or ask; one thread reads."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sending = threading.Lock()
        self._asked: dict[int, Future[bytes]] = {}
        self._last = 0
        #: The worker wants this process to end.
        self.told = False
        self.jobs: queue.SimpleQueue[Run] = queue.SimpleQueue()

    def send(self, message: FromChild) -> None:
        data = frame(message)
        with self._sending:
            self._socket.sendall(data)

    def ask(self, method: str, arguments: bytes) -> bytes:
        answer: Future[bytes] = Future()
        with self._sending:
            self._last += 1
            number = self._last
            self._asked[number] = answer
            self._socket.sendall(frame(Ask(number, method, arguments)))
        return answer.result()

    def read_for_ever(self) -> NoReturn:
        """In a thread of its own: sort what the worker says, until it is gone."""
        with contextlib.suppress(OSError, EOFError, ValueError), self._socket.makefile("rb") as stream:
            while True:
                size = LENGTH.unpack(_exactly(stream.read, LENGTH.size))[0]
                if size > MAX_FRAME_BYTES:
                    break
                message = decode_from_worker(_exactly(stream.read, size))
                if isinstance(message, Run):
                    self.jobs.put(message)
                elif isinstance(message, Answer):
                    self._answer(message)
                else:
                    self.told = True
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        end_with_all()

    def _answer(self, message: Answer) -> None:
        future = self._asked.pop(message.number, None)
        if future is None:
            return
        if message.failure is not None:
            future.set_exception(unpack(message.failure))
        else:
            future.set_result(message.value)


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size)
    if len(data) < size:
        raise EOFError
    return data


def end_with_all() -> NoReturn:
    """End this process and what it started. It leads its own process group."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


class Handlers:
    """The definitions of what was run here before."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], JobDefinition] = {}

    def get(self, run: Run) -> JobDefinition:
        key = (run.module, run.qualname, run.name)
        if key not in self._known:
            handler = load(run.module, run.qualname)
            self._known[key] = define(run.name, handler, {}, isolation="process")
        return self._known[key]


def perform(run: Run, handlers: Handlers, line: Line) -> FromChild:
    """Run one job. Whatever its handler raises is in the answer, but for the order to end."""
    try:
        definition = handlers.get(run)
        try:
            data = definition.decode_data(run.data)
        except InvalidData as error:
            raise UndecodableData(str(error)) from error
        context: Any = ProcessJobContext(run, data, line.ask)
        if inspect.iscoroutinefunction(definition.handler):
            context = AsyncProcessJobContext(context)
        arguments = (context, data) if definition.takes_data else (context,)
        result = definition.handler(*arguments)
        if inspect.iscoroutine(result):
            result = asyncio.run(_whole(result))
        try:
            return Done(encode(result))
        except InvalidData as error:
            # The work is done; doing it again would end the same way.
            raise Unrecoverable(f"The handler's return value cannot be kept. {error}") from error
    except Told:
        raise
    except BaseException as error:  # sys.exit() in a handler ends its attempt
        return Raised(pack(_wait_inside(error)))


async def _whole(result: Any) -> Any:
    return await result


def _wait_inside(error: BaseException) -> BaseException:
    """The durable wait that a handler left from inside a task group, else the error itself."""
    inner: BaseException = error
    while isinstance(inner, BaseExceptionGroup):
        waits = inner.subgroup(Suspended)
        if waits is None:
            return error
        inner = waits.exceptions[0]
    return inner


def die_with_worker(lifeline: int) -> None:
    """From here on the kernel kills this process group when the other end of the pipe closes."""
    os.set_inheritable(lifeline, False)
    if sys.platform == "linux" and os.getpgrp() == os.getpid():
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC)


def main() -> NoReturn:
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.set_inheritable(False)  # a grandchild must not keep the line open
    die_with_worker(int(sys.argv[2]))
    configure_logs()
    configure_traces("corral-worker")
    line, handlers = Line(sock), Handlers()

    def on_sigterm(_number: int, _frame: FrameType | None) -> None:
        if line.told:
            raise Told(0)

    code = 0
    try:
        signal.signal(signal.SIGTERM, on_sigterm)
        threading.Thread(target=line.read_for_ever, name="corral-line", daemon=True).start()
        line.send(Ready())
        while True:
            run = line.jobs.get()
            line.send(Started())
            with continued(run.trace):
                end = perform(run, handlers, line)
            line.send(end)
            sys.stdout.flush()
    except Told:
        pass
    except OSError:  # the worker is gone
        code = 1
    flush_traces()
    sys.stderr.flush()
    os._exit(code)  # threads of handlers must not keep it


if __name__ == "__main__":
    main()
