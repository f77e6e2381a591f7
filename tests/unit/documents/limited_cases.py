"""Drawings that misbehave in one way each, for `test_limited_renderer`; they run in a process of their own."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from billing.documents.invoice import Logo, PrintedInvoice
from billing.documents.pdf.limited_child import Limits
from billing.documents.pdf.limited_renderer import LimitedRenderer
from billing.documents.pdf.warm_start import warm_up_invoice
from billing.documents.rendered import RenderedPdf
from billing.errors import RenderFailed, Unprocessable
from tests.fakes.documents import FakeRenderer

_MEGABYTE = 1024 * 1024
LIMITS = Limits(memory_bytes=200 * _MEGABYTE, processor_seconds=1, answer_bytes=6_000_000)


class Drawing(FakeRenderer):
    """Draws by calling `how`."""

    def __init__(self, how: Callable[[], RenderedPdf]) -> None:
        super().__init__()
        self._how = how

    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
        super().render_invoice(printed, logo)
        return self._how()


def draw(how: Callable[[], RenderedPdf], *, seconds: float = 60, attempt: int = 1) -> RenderedPdf:
    """Let `how` draw, within limits, in an invocation of that many seconds besides those kept for delivery."""
    inner = Drawing(how)
    renderer = LimitedRenderer(inner, LIMITS)
    renderer.begins(seconds=seconds + 20, attempt=attempt)
    try:
        return renderer.render_invoice(warm_up_invoice(), None)
    finally:
        assert not inner.drawn, "it was drawn in the parent"
        _no_child_is_left()


def _no_child_is_left() -> None:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    message = "a child is left"
    raise AssertionError(message)


def large_and_whole() -> tuple[str, int]:
    """More than a pipe holds."""
    pdf = draw(lambda: RenderedPdf(bytes(range(256)) * 20_000, 3))
    return pdf.sha256, pdf.missing_glyphs


def hogs_memory() -> RenderedPdf:
    """Piece by piece."""

    def how() -> RenderedPdf:
        pieces = []
        while True:
            pieces.append(bytearray(b"x" * _MEGABYTE))

    return draw(how)


def asks_for_too_much_at_once() -> RenderedPdf:
    return draw(lambda: RenderedPdf(bytes(1000 * _MEGABYTE)))


def is_refused_memory_inside_weasyprint() -> RenderedPdf:
    def how() -> RenderedPdf:
        message = "The document could not be drawn (MemoryError)."
        raise RenderFailed(message, invoice="i")

    return draw(how)


def is_long(number: int) -> int:
    """The bytes that come back of a document that has so many."""
    return len(draw(lambda: RenderedPdf(bytes(number))).content)


def spins() -> RenderedPdf:
    def how() -> RenderedPdf:
        while True:
            pass

    return draw(how)


def waits(attempt: int) -> RenderedPdf:
    """Use no processor at all until the time is over."""

    def how() -> RenderedPdf:
        signal.pause()
        raise AssertionError

    return draw(how, seconds=0.1, attempt=attempt)


def has_no_time_left() -> RenderedPdf:
    return draw(lambda: RenderedPdf(b""), seconds=-30)


def dies(number: int) -> RenderedPdf:
    def how() -> RenderedPdf:
        os.kill(os.getpid(), number)
        raise AssertionError

    return draw(how)


def leaves() -> RenderedPdf:
    return draw(lambda: os._exit(0))


def refuses_the_logo() -> RenderedPdf:
    def how() -> RenderedPdf:
        message = "The firm's logo cannot be printed: no."
        raise Unprocessable(message, code="bad_logo", file="f")

    return draw(how)


def is_not_drawn() -> str:
    """`for_staff` of what the parent raises."""

    def how() -> RenderedPdf:
        message = "The document refers to something outside itself."
        raise RenderFailed(message, quote="file:///x \ud800", invoice="i")

    try:
        draw(how)
    except RenderFailed as error:
        return f"{error.detail} | {error.for_staff} | {error.ids}"
    raise AssertionError


def has_a_defect() -> RenderedPdf:
    def how() -> RenderedPdf:
        message = "Zoë Müller's secret"
        raise KeyError(message)

    return draw(how)


def prints_and_writes(folder: str) -> list[object]:
    """What a child can reach of its parent: each entry is what should not have happened."""
    parents, other = socket.socketpair()
    with parents, other:
        reading, writing = os.pipe()

        def how() -> RenderedPdf:
            os.write(1, b"secret")
            os.write(2, b"secret")
            os.write(writing, b"secret")
            parents.send(b"secret") if not _is_null(parents.fileno()) else None
            try:
                (Path(folder) / "left").write_bytes(b"secret")
            except OSError as error:
                return RenderedPdf(type(error).__name__.encode())
            return RenderedPdf(b"written")

        drawn = draw(how)
        os.set_blocking(reading, False)
        other.setblocking(False)
        found: list[object] = [drawn.content.decode()]
        for side in (reading, other.fileno()):
            try:
                found.append(os.read(side, 9))
            except BlockingIOError:
                found.append("nothing")
        os.close(reading)
        os.close(writing)
        found.append((Path(folder) / "left").read_bytes() if (Path(folder) / "left").exists() else b"")
        return found


def _is_null(file: int) -> bool:
    return os.fstat(file).st_rdev == Path(os.devnull).stat().st_rdev


def beside_a_thread_that_ends() -> RenderedPdf:
    """It runs when the drawing is asked for, and ends once somebody waits for it."""
    reading, writing = os.pipe()
    thread = threading.Thread(target=lambda: os.read(reading, 1))
    thread.start()
    threading.Timer(0, lambda: os.write(writing, b"x")).start()
    try:
        return draw(lambda: RenderedPdf(b"drawn"))
    finally:
        thread.join()
        os.close(reading)
        os.close(writing)


def beside_a_thread_that_stays() -> RenderedPdf:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        return draw(lambda: RenderedPdf(b"drawn"), seconds=0.1)
    finally:
        stop.set()
        thread.join()


def threads_and_files_after(times: int) -> tuple[int, int]:
    """How many more open files and threads there are after that many drawings, good and bad."""

    def state() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), len(list(Path("/proc/self/task").iterdir()))

    before = state()
    for _ in range(times):
        draw(lambda: RenderedPdf(b"x"))
        dies_quietly()
    after = state()
    return after[0] - before[0], after[1] - before[1]


def dies_quietly() -> None:
    try:
        dies(signal.SIGSEGV)
    except RenderFailed:
        return
    raise AssertionError


def changes_the_parents_state() -> dict[str, Any]:
    """What the child does to its memory stays there."""
    state: dict[str, Any] = {"clean": True}
    draw(lambda: RenderedPdf(str(state.update(clean=False)).encode()))
    return state
