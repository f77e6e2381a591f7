"""Which port each part of a local stack listens on; chosen once and kept for the next start."""

import json
import os
import random
import socket
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from local.problem import Problem

HOST: Final = "127.0.0.1"
CHOICES: Final = range(20_000, 32_000)
"""Below the ephemeral range, from which the kernel gives ports to outgoing connections."""


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True


def choose_ports(
    names: Iterable[str],
    kept: Path,
    *,
    running: Collection[str] = (),
    environment: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Return a port for each name and write them to `kept`.

    The variable `<NAME>_PORT` decides where it is set; else the port kept from the last start, if it is still
    free; else a free one. `running` names what already listens on its kept port.

    Raises `Problem` when a port from the environment is taken or not a port number.
    """
    asked = os.environ if environment is None else environment
    before: dict[str, int] = json.loads(kept.read_text()) if kept.exists() else {}
    ports: dict[str, int] = {}
    for name in names:
        variable = f"{name.upper()}_PORT"
        if name in running and name in before:
            ports[name] = before[name]
        elif variable in asked:
            ports[name] = _asked_for(variable, asked[variable])
        elif name in before and is_free(before[name]):
            ports[name] = before[name]
        else:
            ports[name] = _free_port({*before.values(), *ports.values()})
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(ports, indent=2))
    return ports


def _asked_for(variable: str, value: str) -> int:
    if not value.isdecimal() or not 0 < int(value) < 65_536:  # noqa: PLR2004 - the end of the port numbers
        raise Problem(f"{variable} is {value!r}, which is not a port number.")
    if not is_free(int(value)):
        raise Problem(f"Port {value} ({variable}) is taken by another program; choose another or stop it.")
    return int(value)


def _free_port(avoid: set[int]) -> int:
    chooser = random.SystemRandom()
    for _ in range(200):
        port = chooser.choice(CHOICES)
        if port not in avoid and is_free(port):
            return port
    raise Problem(f"No free port was found between {CHOICES.start} and {CHOICES.stop} on {HOST}.")
