"""Does one piece of work in a child of this process, within limits, and tells how it ended: the child dies, not we.

The child is a fork: what the parent has imported and read is there at once, and whatever the work breaks, allocates or
leaves behind ends with it. Only two frames of bytes come back, through a pipe. Everything else the child inherits is
shut: its standard streams and every other open file lead to the null device, it writes no file and no core.

Forking copies one thread. So the parent must have no other: Pango looks for fonts in threads of its own, which end by
themselves, and the parent waits for that. Needs Linux's `/proc`; not `/dev/shm`, which Lambda does not have.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import select
import signal
import struct
import time
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


_LENGTH = struct.Struct(">Q")
_PAGE_BYTES = resource.getpagesize()
_MILLISECONDS_BETWEEN_LOOKS = 20
#: The kernel's limit of the child's own memory, which holds for what grows faster than we look, as a share of ours.
KERNELS_SHARE_ABOVE = 1.08
_SECONDS_FOR_THREADS_TO_END = 5.0
_PR_SET_PDEATHSIG = 1
_THREADS = Path("/proc/self/task")
_OPEN_FILES = Path("/proc/self/fd")


class OtherThreadsRunning(Exception):
    """Another thread runs in this process and does not end: a fork could inherit a lock that nobody opens."""


class Ended(Enum):
    """How the work ended."""

    ANSWERED = auto()
    TOO_MUCH_MEMORY = auto()
    ANSWER_TOO_LONG = auto()
    OUT_OF_PROCESSOR_TIME = auto()
    OUT_OF_TIME = auto()
    BROKE = auto()


@dataclass(frozen=True)
class Limits:
    """Of one piece of work: resident memory in bytes (what it shares with the parent counts), processor seconds.

    `answer_bytes`: how long head and body may be together, with the few bytes that keep them apart.
    """

    memory_bytes: int
    processor_seconds: int
    answer_bytes: int


@dataclass(frozen=True)
class Outcome:
    """`head` and `body` are what the work answered if `ended` is `ANSWERED`; `signal` what killed it else, if known."""

    ended: Ended
    head: bytes = b""
    body: bytes = b""
    signal: str = ""


def run(work: Callable[[], tuple[bytes, bytes]], limits: Limits, *, seconds: float) -> Outcome:
    """Do `work` in a child that is killed after `seconds`, or beyond `limits`; it is gone when this returns.

    `work` answers two strings of bytes. `MemoryError` in it counts as `TOO_MUCH_MEMORY`, any other exception as
    `BROKE`. Raises `OtherThreadsRunning`, and `OSError` where no process can be started.
    """
    end = time.monotonic() + seconds
    _wait_until_alone(end)
    reading, writing = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if child == 0:
        _run_child(work, writing, limits)
    os.close(writing)
    received = bytearray()
    stopped: Ended | None = Ended.BROKE
    try:
        stopped = _receive(received, reading, child, limits, end)
    finally:
        os.close(reading)
        if stopped is not None:
            os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
    return Outcome(stopped) if stopped else _outcome(bytes(received), status, usage, limits)


def _wait_until_alone(end: float) -> None:
    latest = min(end, time.monotonic() + _SECONDS_FOR_THREADS_TO_END)
    while len(list(_THREADS.iterdir())) > 1:
        if time.monotonic() > latest:
            message = "Another thread runs in this process."
            raise OtherThreadsRunning(message)
        time.sleep(0.001)  # the kernel tells nobody that a thread has ended: one looks again


def _receive(received: bytearray, reading: int, child: int, limits: Limits, end: float) -> Ended | None:
    """Fill `received` until the child closes its side; or say why it must be stopped."""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    while True:
        if poll.poll(_MILLISECONDS_BETWEEN_LOOKS):
            part = os.read(reading, 1 << 20)
            if not part:
                return None
            received += part
            if len(received) > limits.answer_bytes:
                return Ended.ANSWER_TOO_LONG
        if time.monotonic() >= end:
            return Ended.OUT_OF_TIME
        if _resident_bytes(child) > limits.memory_bytes:
            return Ended.TOO_MUCH_MEMORY


def _resident_bytes(process: int) -> int:
    with open(f"/proc/{process}/statm", "rb") as file:  # noqa: PTH123  # looked at fifty times a second
        return int(file.read().split()[1]) * _PAGE_BYTES


def _outcome(received: bytes, status: int, usage: resource.struct_rusage, limits: Limits) -> Outcome:
    if os.WIFSIGNALED(status):
        killer = signal.Signals(os.WTERMSIG(status))
        return Outcome(_killed_by(killer, usage, limits), signal=killer.name)
    frames = _frames(received)
    if os.WEXITSTATUS(status) == 0 and len(frames) == 2:  # noqa: PLR2004  # head and body
        return Outcome(Ended.ANSWERED, head=frames[0], body=frames[1])
    ended = Ended.TOO_MUCH_MEMORY if os.WEXITSTATUS(status) == _EXIT_WITHOUT_MEMORY else Ended.BROKE
    return Outcome(ended)


def _killed_by(killer: signal.Signals, usage: resource.struct_rusage, limits: Limits) -> Ended:
    """Native libraries abort where they are refused memory; the kernel kills where the machine has none left."""
    used = usage.ru_utime + usage.ru_stime
    if killer is signal.SIGXCPU or (killer is signal.SIGKILL and used >= limits.processor_seconds):
        return Ended.OUT_OF_PROCESSOR_TIME
    much = usage.ru_maxrss * 1024 > limits.memory_bytes / 2
    if killer is signal.SIGKILL or (much and killer in {signal.SIGABRT, signal.SIGTRAP}):
        return Ended.TOO_MUCH_MEMORY
    return Ended.BROKE


def _frames(received: bytes) -> list[bytes]:
    """Frames that are whole, each after its length; none if anything else is there."""
    frames = []
    at = 0
    while at < len(received):
        if len(received) < at + _LENGTH.size:
            return []
        (length,) = _LENGTH.unpack_from(received, at)
        at += _LENGTH.size
        if len(received) < at + length:
            return []
        frames.append(received[at : at + length])
        at += length
    return frames


_EXIT_WITHOUT_MEMORY = 3


def _run_child(work: Callable[[], tuple[bytes, bytes]], writing: int, limits: Limits) -> None:
    """Never returns: nothing of the parent's (buffers, connections, `finally` clauses) may run a second time here."""
    code = 1
    try:
        _shut_in(writing, limits)
        for frame in work():
            _write(writing, _LENGTH.pack(len(frame)))
            _write(writing, frame)
        code = 0
    except MemoryError:
        code = _EXIT_WITHOUT_MEMORY
    finally:
        os._exit(code)


def _shut_in(writing: int, limits: Limits) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody waits for us once the parent is gone
    # Their numbers stay taken: an inherited object that closes its file must not close one of ours.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for inherited in [int(entry.name) for entry in _OPEN_FILES.iterdir()]:
        if inherited not in {writing, nowhere}:
            os.dup2(nowhere, inherited)
    kernels = int(limits.memory_bytes * KERNELS_SHARE_ABOVE)
    resource.setrlimit(resource.RLIMIT_DATA, (kernels, kernels))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.processor_seconds, limits.processor_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.freeze()  # the parent's objects are not ours to collect; looking at them would copy their pages


def _write(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
