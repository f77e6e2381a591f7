"""A process with one thread, as a Lambda function is: forking is only sound there, and a test run may have more.

It calls functions that tests name, one after the other, as a warm function handles messages.
"""

import contextlib
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).parents[3]
_LENGTH = struct.Struct(">Q")


@dataclass(frozen=True)
class Raised:
    """What a function raised over there."""

    name: str
    text: str
    told: dict[str, Any]


class OwnProcess:
    """Calls functions over there by the names of their modules."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What it returned, or `Raised`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        _send(self._process.stdin, (function.__module__, function.__qualname__, arguments))
        return _receive(self._process.stdout)


@contextlib.contextmanager
def own_process(**environment: str) -> Iterator[OwnProcess]:
    """Start it; it ends with the block."""
    with subprocess.Popen(
        # WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore::ResourceWarning",
            "-m",
            "tests.unit.documents.own_process",
        ],
        env={"PYTHONPATH": f"{_ROOT / 'layers/billing'}:{_ROOT}", "PATH": "/usr/bin:/bin"} | environment,
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        yield OwnProcess(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def _send(stream: IO[bytes], value: object) -> None:
    content = pickle.dumps(value)
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    head = stream.read(_LENGTH.size)
    if not head:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    return pickle.loads(stream.read(length))  # noqa: S301  # both ends are this test's


def _serve() -> None:
    """Answer on what was standard output; what is printed goes nowhere."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # the null device
        os.dup2(nowhere.fileno(), 1)
    while True:
        try:
            module, name, arguments = _receive(requests)
        except EOFError:
            return
        __import__(module)
        try:
            answer = getattr(sys.modules[module], name)(*arguments)
        except Exception as error:  # noqa: BLE001  # it is raised over there as far as the test is concerned
            answer = Raised(type(error).__name__, str(error), dict(vars(error)))
        _send(answers, answer)


if __name__ == "__main__":
    from tests.unit.documents.own_process import _serve as serve  # so that there is one `Raised`

    serve()
