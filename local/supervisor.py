"""Starts programs in the background and stops exactly those, also from a later run of this code.

A program is remembered as its process id together with when that process started: a process id alone may
belong to somebody else by the time of the stop. Each program leads a session of its own, so that the signal
reaches its children, and carries a mark in its environment by which strays are found.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.problem import Problem
from local.waiting import NeverHappened, wait_for

MARK: Final = "DIRECTUS_LEGAL_BILLING_STACK"
"""Environment variable that every process of a stack carries; its value is the stack's directory."""

KILL_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Program:
    """A program to run in the background.

    `environment` is all of its environment. `ready` is called until it returns True, at most for `ready_seconds`.
    `stop_seconds` is how long it may take to end by itself (the emulator saves its state then).
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    ready: Callable[[], bool]
    ready_seconds: float = 60.0
    stop_seconds: float = 20.0

    def digest(self) -> str:
        """Return a key of how it is started; PATH differs from terminal to terminal and does not count."""
        environment = {name: value for name, value in self.environment.items() if name != "PATH"}
        text = json.dumps([list(self.arguments), environment, str(self.directory)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for another: its id and the kernel's tick at which it started."""

    pid: int
    started: int


def identify(pid: int) -> Identity | None:
    """Return the process that has the id now; None if there is none, or only a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in parentheses and may hold spaces and parentheses itself.
    fields = text.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return None if state in "ZX" else Identity(pid, int(started))


class Supervisor:
    """Keeps the programs of one stack; `directory` holds `run/<name>.json` and `logs/<name>.log`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def log(self, name: str) -> Path:
        """Return the path of a program's log."""
        return self._directory / "logs" / f"{name}.log"

    def is_running(self, name: str) -> bool:
        """Return whether the program that we started is still that process and alive."""
        return self._identity(name) is not None

    def running(self) -> list[str]:
        """Return the names of all programs that run."""
        self._reap()
        return [
            path.stem
            for path in sorted((self._directory / "run").glob("*.json"))
            if self.is_running(path.stem)
        ]

    def start(self, program: Program) -> None:
        """Start the program and return when it is ready; does nothing when it runs just so and is ready.

        A program that runs with other arguments or another environment is restarted.

        Raises `Problem` with the last log lines when it ends or is not ready in time; it is stopped then.
        """
        if self.is_running(program.name):
            if self._remembered(program.name).get("digest") == program.digest() and program.ready():
                return
            self.stop(program.name, program.stop_seconds)
        self._spawn(program)

        def ready() -> bool:
            if not self.is_running(program.name):
                self._forget(program.name)
                raise Problem(self._sentence(program.name, "ended right after its start"))
            return program.ready()

        try:
            wait_for(program.name, ready, seconds=program.ready_seconds)
        except NeverHappened:
            self.stop(program.name, program.stop_seconds)
            sentence = self._sentence(program.name, f"was not ready after {program.ready_seconds:.0f} s")
            raise Problem(sentence) from None

    def stop(self, name: str, seconds: float = 20.0) -> None:
        """End the program and all its children: asked first, killed when it takes longer than `seconds`."""
        identity = self._identity(name)
        if identity is not None:
            _signal_group(identity.pid, signal.SIGTERM)
            if not self._wait_for_end(name, seconds):
                _signal_group(identity.pid, signal.SIGKILL)
                self._wait_for_end(name, KILL_SECONDS)
            # Children may outlive the leader of their group.
            _signal_group(identity.pid, signal.SIGKILL)
        self._forget(name)

    def stop_strays(self) -> int:
        """Kill every process that carries this stack's mark and return how many there were.

        Meant for after all programs were stopped: environments of functions lead sessions of their own.
        """
        strays = [identity for identity in _marked(str(self._directory)) if identity.pid != os.getpid()]
        for stray in strays:
            if identify(stray.pid) == stray:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(stray.pid, signal.SIGKILL)
        return len(strays)

    def _spawn(self, program: Program) -> None:
        log = self.log(program.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**program.environment, MARK: str(self._directory)}
        with log.open("ab") as output:
            output.write(f"--- started {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
            output.flush()
            try:
                child = subprocess.Popen(
                    list(program.arguments),
                    cwd=program.directory,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise Problem(f"{program.name} cannot be started: {error}.") from error
        self._children[program.name] = child
        identity = identify(child.pid)
        if identity is not None:
            path = self._file(program.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            remembered = {"pid": identity.pid, "started": identity.started, "boot": _boot()}
            path.write_text(json.dumps({**remembered, "digest": program.digest()}))

    def _identity(self, name: str) -> Identity | None:
        child = self._children.get(name)
        if child is not None:
            child.poll()  # reaps it, so that it does not stay a zombie
        remembered = self._remembered(name)
        if remembered.get("boot") != _boot():
            return None
        identity = Identity(remembered["pid"], remembered["started"])
        return identity if identify(identity.pid) == identity else None

    def _remembered(self, name: str) -> dict[str, Any]:
        try:
            remembered: dict[str, Any] = json.loads(self._file(name).read_text())
        except (OSError, ValueError):
            return {}
        return remembered

    def _reap(self) -> None:
        """Let go of children that another run of this code stopped."""
        ended = [name for name, child in self._children.items() if child.poll() is not None]
        for name in ended:
            del self._children[name]

    def _wait_for_end(self, name: str, seconds: float) -> bool:
        try:
            return wait_for(f"the end of {name}", lambda: self._identity(name) is None, seconds=seconds)
        except NeverHappened:
            return False

    def _forget(self, name: str) -> None:
        self._file(name).unlink(missing_ok=True)
        child = self._children.pop(name, None)
        if child is not None:
            child.wait(KILL_SECONDS)

    def _file(self, name: str) -> Path:
        return self._directory / "run" / f"{name}.json"

    def _sentence(self, name: str, what: str) -> str:
        log = self.log(name)
        return f"{name} {what}; its last lines, from {log}:\n{tail(log)}"


def tail(path: Path, lines: int = 12) -> str:
    """Return the last lines of a log, indented; empty when there is no such file."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _marked(value: str) -> Iterator[Identity]:
    wanted = f"{MARK}={value}".encode()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            identity = identify(int(folder.name)) if wanted in environment.split(b"\0") else None
            if identity is not None:
                yield identity


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
