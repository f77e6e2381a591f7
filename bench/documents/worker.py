"""One engine in a process of its own, asked over its standard input; answers are lines of JSON.

python -m bench.documents.worker bench.documents.stock

    {"do": "start"}                                         -> import, and whatever else must be ready
    {"do": "draw", "document": ..., "pdf": ..., "watch": …} -> draw `document` (a path without ending) into `pdf`

Imports as little as it can before the engine does, so that the engine's own import is what is timed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.documents.engine import Engine


def serve(engine: Engine) -> None:
    """Answer until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not be taken for an answer
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            answers.write(json.dumps(start(engine) if asked["do"] == "start" else draw(engine, asked)) + "\n")
    finally:
        engine.close()


def start(engine: Engine) -> dict[str, Any]:
    """Import the library, then make ready what is ours."""
    return {"imported": spent(engine, engine.load), "prepared": spent(engine, engine.prepare)}


def draw(engine: Engine, asked: dict[str, Any]) -> dict[str, Any]:
    """Draw one document; reading it and writing the file are not timed."""
    document = engine.read(Path(asked["document"]))
    drawn: list[bytes] = []
    engine.watch(wanted=asked["watch"])
    taken = spent(engine, lambda: drawn.append(engine.draw(document)))
    peak = engine.peak_bytes()
    engine.finish()
    Path(asked["pdf"]).write_bytes(drawn[0])
    return {"drawn": taken, "peak_bytes": peak, "file_bytes": len(drawn[0])}


def spent(engine: Engine, work: Callable[[], None]) -> dict[str, float]:
    """Do it; return its seconds."""
    processor, wall = engine.processor_seconds(), time.perf_counter()
    work()
    return {"wall": time.perf_counter() - wall, "processor": engine.processor_seconds() - processor}


if __name__ == "__main__":
    module: Any = import_module(sys.argv[1])
    serve(module.engine())
