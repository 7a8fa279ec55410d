"""A roll call: several processes meet at the first one's address and tell each other one thing.

It comes before `jax.distributed.initialize`, which ends with a stack of C++ where somebody does
not come: here everyone ends in one line, which says who. It needs no JAX, so that processes that
could not work together can still find out why. Then the address is free again for JAX.
"""

import json
import selectors
import socket
import time
from typing import Any

from biobert_jax.errors import UserError

_HELLO = "biobert roll call"
_MAX_BYTES = 4 << 20
# Seconds between two tries to reach process 0, for one message, and that the last of the others is
# waited for while it hears the answer.
_RETRY, _MESSAGE, _GOODBYE = 0.2, 10.0, 2.0
_WHAT_TO_DO = (
    "start the same command on every host, and let that port through between them; --join_timeout "
    "SECONDS waits longer, --distributed=off for none"
)


def roll_call(
    address: str, num_processes: int, process_id: int, content: Any, *, timeout: float
) -> list[Any]:
    """What every process says, in their order, once all have come.

    Args:
      address: HOST:PORT of process 0, which listens there.
      content: a JSON value.
      timeout: seconds that process 0 waits for the others, and each of them for it.

    Raises:
      UserError: some did not come (process 0 knows which), one came twice, or they do not agree
        how many there are; on all that have come.
    """
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + timeout
    if process_id == 0:
        return _Host(address, int(port), num_processes, content, timeout, deadline).call()
    hello = {
        "hello": _HELLO,
        "process_id": process_id,
        "num_processes": num_processes,
        "content": content,
    }
    why = "nobody listens there"
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), min(left, 10)) as line:
                line.sendall(json.dumps(hello).encode() + b"\n")
                line.settimeout(timeout + _MESSAGE)  # process 0 may have started just now
                answer = _read(line)
        except (OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            time.sleep(_RETRY)
            continue
        if "error" in answer:
            raise UserError(answer["error"])
        return answer["contents"]
    raise UserError(
        f"process 0 of {num_processes} did not answer process {process_id} at {address} within "
        f"{timeout:g} s ({why}): {_WHAT_TO_DO}"
    )


class _Host:
    """Process 0's side: listens until all have come, and answers them all."""

    def __init__(self, address, port, num_processes, content, timeout, deadline):
        self._address, self._timeout, self._deadline = address, timeout, deadline
        self._contents: dict[int, Any] = {0: content}
        self._lines: dict[int, socket.socket] = {}
        self._count = num_processes
        try:
            dual = socket.has_dualstack_ipv6()
            family = socket.AF_INET6 if dual else socket.AF_INET
            self._listener = socket.create_server(
                ("", port), family=family, dualstack_ipv6=dual, backlog=1024
            )
        except OSError as error:
            raise UserError(
                f"process 0 cannot listen at port {port} ({error.strerror or error}): choose "
                "another one for --coordinator (JAX_COORDINATOR_PORT where a cluster chose it)"
            ) from error

    def call(self) -> list[Any]:
        try:
            answer = self._wait()
            message = json.dumps(answer).encode() + b"\n"
            for line in self._lines.values():
                self._tell(line, message)
        finally:
            for line in (self._listener, *self._lines.values()):
                line.close()
        if "error" in answer:
            raise UserError(answer["error"])
        return answer["contents"]

    def _wait(self) -> dict[str, Any]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while len(self._contents) < self._count:
                left = self._deadline - time.monotonic()
                if left <= 0:
                    return {"error": self._missing()}
                for key, _ in selector.select(left):
                    if key.fileobj is not self._listener:
                        self._lost(selector, key)
                    elif error := self._greet(selector):
                        return {"error": error}
        return {"contents": [self._contents[index] for index in range(self._count)]}

    def _greet(self, selector: selectors.BaseSelector) -> str | None:
        """Takes one that came; returns why nobody can go on, if so."""
        line, _ = self._listener.accept()
        line.settimeout(_MESSAGE)
        try:
            hello = _read(line)
            index, count = hello["process_id"], hello["num_processes"]
            if hello["hello"] != _HELLO:
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError):
            line.close()  # a stranger
            return None
        twice = index in self._contents
        self._lines[-1 - len(self._lines) if twice or count != self._count else index] = line
        if count != self._count:
            return (
                f"process {index} was told of {count} processes, process 0 of {self._count}: give "
                "all the same --num_processes"
            )
        if twice:
            return f"two processes are process {index} of {count}: give each its own --process_id"
        if not 0 < index < count:
            return f"a process is {index} of {count}: they count from 0"
        self._contents[index] = hello["content"]
        selector.register(line, selectors.EVENT_READ, index)
        return None

    def _lost(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        """One that had come has ended; it may be started again."""
        selector.unregister(key.fileobj)
        self._lines.pop(key.data).close()
        del self._contents[key.data]

    def _missing(self) -> str:
        missing = [str(index) for index in range(self._count) if index not in self._contents]
        shown = ", ".join(missing[:16]) + (", …" if len(missing) > 16 else "")
        which = f"process {shown}" if len(missing) == 1 else f"processes {shown}"
        return (
            f"{which} of {self._count} did not come to {self._address} within {self._timeout:g} s: "
            + _WHAT_TO_DO
        )

    def _tell(self, line: socket.socket, message: bytes) -> None:
        """Sends, and lets the other side close first: so the port is free at once."""
        try:
            line.settimeout(_MESSAGE)
            line.sendall(message)
            line.shutdown(socket.SHUT_WR)
            line.settimeout(_GOODBYE)
            line.recv(1)
        except OSError:
            pass


def _read(line: socket.socket) -> dict[str, Any]:
    """One line of JSON, an object.

    Raises:
      ValueError: something else, or the other side went away.
    """
    content = bytearray()
    while not content.endswith(b"\n"):
        piece = line.recv(65536)
        content += piece
        if not piece or len(content) > _MAX_BYTES:
            raise ValueError("something else answers there, or it went away")
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("something else answers there")
    return value
