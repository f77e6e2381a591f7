"""The layer's builder; the Makefile beside it calls this.

python3.13 -m native build x86_64|arm64 TARGET     a finished layer, from the cache if nothing changed
python3.13 -m native prepare x86_64|arm64          the same, into the cache only
python3.13 -m native lock x86_64|arm64             writes the lock anew
python3.13 -m native reproducible x86_64|arm64     builds twice and compares
python3.13 -m native vendor x86_64|arm64 FOLDER    keeps packages and wheels for builds without network
"""

import os
import sys
import time
from pathlib import Path

from .build import Settings, built_twice, copy_into, finished, vendor, write_lock
from .refusal import Refusal
from .tree import size_of, tree_hash


def main(arguments: list[str]) -> int:
    """Do one thing; return the exit code."""
    try:
        return _do(arguments)
    except Refusal as refusal:
        sys.stderr.write(f"{refusal.sentence}\n")
        return 1


def _do(arguments: list[str]) -> int:
    began = time.monotonic()
    match arguments:
        case ["build", architecture, target]:
            layer = finished(Settings.of(architecture, os.environ))
            copy_into(layer, Path(target))
            _say(f"{architecture}: {size_of(layer) / 1e6:.1f} MB unzipped, {tree_hash(layer)}", began)
        case ["prepare", architecture]:
            layer = finished(Settings.of(architecture, os.environ))
            _say(f"{layer} is there", began)
        case ["lock", architecture]:
            path = write_lock(Settings.of(architecture, os.environ))
            _say(f"{path} was written", began)
        case ["reproducible", architecture]:
            first, second = built_twice(Settings.of(architecture, os.environ))
            _say(f"{architecture}: built twice, {first} and {second}", began)
            return 0 if first == second else 1
        case ["vendor", architecture, folder]:
            vendor(Settings.of(architecture, os.environ), Path(folder))
            _say(f"{architecture}: packages and wheels are in {folder}", began)
        case _:
            sys.stderr.write(f"{__doc__}")
            return 2
    return 0


def _say(sentence: str, began: float) -> None:
    sys.stdout.write(f"{sentence} ({time.monotonic() - began:.1f} s)\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
