"""An engine's worker, seen from the process that asks."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

import pikepdf

from bench.documents.figures import ColdStart, Document, Spent

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from bench.documents.engines import Contestant

SECONDS_TO_END = 20
LINES_QUOTED = 12


class EngineFailed(Exception):
    """An engine ended instead of answering."""


class EngineProcess:
    """Started when made; `folder` takes its PDF and what it says on its error output."""

    def __init__(self, contestant: Contestant, folder: Path) -> None:
        self._name = contestant.name
        self._stem = folder / contestant.command[-1].rpartition(".")[2]
        self._began = time.perf_counter()
        with self._stem.with_suffix(".log").open("wb") as log:
            self._process = subprocess.Popen(
                contestant.command, env=contestant.variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> tuple[Spent, Spent]:
        """Import, and make the rest ready: what each took."""
        answer = self._ask({"do": "start"})
        return Spent(**answer["imported"]), Spent(**answer["prepared"])

    def draw(self, document: Path, *, watch: bool = False) -> dict[str, Any]:
        """Draw one document into `pdf`; `watch` its memory."""
        asked = {"do": "draw", "document": str(document), "pdf": str(self.pdf), "watch": watch}
        return self._ask(asked)

    def cold_start(self, document: Path) -> ColdStart:
        """Everything until the first document is there."""
        imported, prepared = self.start()
        first = Spent(**self.draw(document)["drawn"])
        return ColdStart(imported, prepared, first, time.perf_counter() - self._began)

    def first_document(self, document: Path, lines: int) -> Document:
        """The first document of this process, with its peak of memory."""
        self.start()
        answer = self.draw(document, watch=True)
        with pikepdf.open(self.pdf) as pdf:
            pages = len(pdf.pages)
        return Document(lines, Spent(**answer["drawn"]), answer["peak_bytes"], answer["file_bytes"], pages)

    @property
    def pdf(self) -> Path:
        """The last document drawn."""
        return self._stem.with_suffix(".pdf")

    def close(self) -> None:
        """End it: it ends when nobody can ask any more."""
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):  # it has ended by itself
            self._process.stdin.close()
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None
        line = self._process.stdout.readline()
        if not line:
            raise self._failure()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _failure(self) -> EngineFailed:
        said = self._stem.with_suffix(".log").read_text(errors="replace").splitlines()[-LINES_QUOTED:]
        return EngineFailed("\n".join([f"{self._name} ended instead of answering:", *said]))
