"""Draws every document in a process of its own, within limits of memory and time below the function's.

A hostile or monstrous document then fails alone, with a reason that stands on its row, instead of killing the function
and coming back from the queue for ten hours. What is measured and what was weighed: `docs/decisions`.

Time is judged by the processor: a document that has used up its processor seconds is too slow wherever it is drawn. One
that ran out of the clock's time before has met a busy machine and is tried again, but not for ever.
"""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from billing.aws.deadline import TimeLimit
from billing.documents.pdf.limited_child import Ended, Limits, OtherThreadsRunning, Outcome, run
from billing.documents.rendered import MAX_DOCUMENT_BYTES, PdfRenderer, RenderedPdf
from billing.errors import RenderFailed, Unprocessable, UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from billing.documents.invoice import Logo, PrintedInvoice
    from billing.documents.receipt import PrintedReceipt
    from billing.documents.versions import VersionWords


#: Of the function's memory; the rest is the function's own, and the finished file's on its way. Ten thousand lines, the
#: most an invoice may have, need 1,200 MB.
_SHARE_OF_MEMORY = 0.85
#: Ten thousand lines take 52 on the machine measured.
PROCESSOR_SECONDS = 220
#: What storing and registering the finished document may take before the function is killed.
_SECONDS_TO_DELIVER = 20.0
_SECONDS_UNTIL_LESS_BUSY = 60
#: Deliveries of the message after which a busy machine is no excuse any more.
_ATTEMPTS_ON_A_BUSY_MACHINE = 3
_MEGABYTE = 1024 * 1024
_USUAL_MEGABYTES = 2048
_PLACES = 5


class RendererCrashed(Exception):
    """The drawing ended in a way nobody foresaw: a defect of ours. Names types and places, never a document's words."""


def limits_in(environment: Mapping[str, str]) -> Limits:
    """What one document may use in this function; outside Lambda, which names the memory, as in the template's."""
    megabytes = int(environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", _USUAL_MEGABYTES))
    return Limits(int(megabytes * _MEGABYTE * _SHARE_OF_MEMORY), PROCESSOR_SECONDS, MAX_DOCUMENT_BYTES)


class LimitedRenderer:
    """A `PdfRenderer` around another one, which should be warm: every document starts from what it has read."""

    def __init__(self, renderer: PdfRenderer, limits: Limits) -> None:
        self._renderer = renderer
        self._limits = limits
        self._time = TimeLimit()
        self._attempt = 1

    def begins(self, *, seconds: float, attempt: int) -> None:
        """An invocation begins that is killed after `seconds`; the message is delivered for the `attempt`th time."""
        self._time.begins(seconds)
        self._attempt = attempt

    @property
    def template_version(self) -> str:
        """As the inner renderer's, like all but the drawing."""
        return self._renderer.template_version

    @property
    def layer_version(self) -> str:
        """The inner renderer's: limits change no byte."""
        return self._renderer.layer_version

    @property
    def receipt_version(self) -> str:
        """The inner renderer's."""
        return self._renderer.receipt_version

    def title(self, printed: PrintedInvoice) -> str:
        """The inner renderer's."""
        return self._renderer.title(printed)

    def version_words(self, printed: PrintedInvoice) -> VersionWords:
        """The inner renderer's."""
        return self._renderer.version_words(printed)

    def receipt_title(self, printed: PrintedReceipt) -> str:
        """The inner renderer's."""
        return self._renderer.receipt_title(printed)

    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
        """Raise what the inner renderer raises.

        Or `Unprocessable`: `too_much_memory`, `too_slow`, `document_too_large`. Where another attempt may do: `UpstreamUnavailable` `renderer_busy` or `renderer_not_started`.
        """
        return self._drawn(lambda: self._renderer.render_invoice(printed, logo), invoice=printed.id)

    def render_receipt(self, printed: PrintedReceipt, logo: Logo | None) -> RenderedPdf:
        """As `render_invoice`."""
        return self._drawn(lambda: self._renderer.render_receipt(printed, logo), invoice=printed.invoice)

    def _drawn(self, draw: Callable[[], RenderedPdf], *, invoice: str) -> RenderedPdf:
        seconds = self._time.remaining() - _SECONDS_TO_DELIVER
        try:
            outcome = run(lambda: _answer(draw), self._limits, seconds=seconds)
        except (OtherThreadsRunning, OSError) as error:
            message = "No process could be started to draw the document in."
            raise UpstreamUnavailable(message, code="renderer_not_started", invoice=invoice) from error
        match outcome.ended:
            case Ended.ANSWERED:
                return _received(outcome)
            case Ended.TOO_MUCH_MEMORY:
                raise self._too_much_memory(invoice)
            case Ended.ANSWER_TOO_LONG:
                raise self._too_large(invoice)
            case Ended.OUT_OF_PROCESSOR_TIME:
                raise _too_slow(f"{self._limits.processor_seconds} seconds of work were not enough", invoice)
            case Ended.OUT_OF_TIME:
                raise self._out_of_time(invoice)
            case Ended.BROKE if outcome.signal:
                raise RenderFailed(
                    f"The drawing software broke down over this document ({outcome.signal}).", invoice=invoice
                )
            case Ended.BROKE:
                message = "The process that drew the document ended without an answer."
                raise RendererCrashed(message)

    def _too_much_memory(self, invoice: str) -> Unprocessable:
        megabytes = self._limits.memory_bytes // _MEGABYTE
        message = (
            f"The document could not be drawn: it needs more memory than the {megabytes} MB that one document may use. "
            "Very long texts or a very elaborate logo are the usual cause; shorten or replace them, then choose Render again."
        )
        return Unprocessable(message, code="too_much_memory", invoice=invoice)

    def _too_large(self, invoice: str) -> Unprocessable:
        message = (
            f"The document is too large: its file would have more than {self._limits.answer_bytes / 1e6:.3g} MB, the most "
            "that a document may have. A very large logo or very long texts are the usual cause; replace or shorten them, "
            "then choose Render again."
        )
        return Unprocessable(message, code="document_too_large", invoice=invoice)

    def _out_of_time(self, invoice: str) -> Unprocessable | UpstreamUnavailable:
        if self._attempt >= _ATTEMPTS_ON_A_BUSY_MACHINE:
            return _too_slow("it was not ready in time on several attempts", invoice)
        return UpstreamUnavailable(
            "The document was not ready in time, though it had not used up its share of the processor: the machine is busy.",
            retry_after=_SECONDS_UNTIL_LESS_BUSY,
            code="renderer_busy",
            invoice=invoice,
        )


def _too_slow(reason: str, invoice: str) -> Unprocessable:
    message = (
        f"The document could not be drawn: {reason}. "
        "Very long texts or a very elaborate logo are the usual cause; shorten or replace them, then choose Render again."
    )
    return Unprocessable(message, code="too_slow", invoice=invoice)


def _answer(draw: Callable[[], RenderedPdf]) -> tuple[bytes, bytes]:
    """In the child: what `draw` made or raised, as JSON and bytes."""
    try:
        pdf = draw()
    except RenderFailed as error:
        if error.detail.endswith("(MemoryError)."):  # WeasyPrint met the kernel's limit, not ours
            raise MemoryError from error
        answer = {"kind": "not_drawn", "detail": error.detail, "ids": error.ids, "for_staff": error.for_staff}
    except Unprocessable as error:
        answer = {"kind": "refused", "detail": error.detail, "ids": error.ids, "code": error.code}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # a defect of ours is told to the parent, which raises it
        answer = {"kind": "broke", "detail": _places(error)}
    else:
        return json.dumps({"kind": "drawn", "missing_glyphs": pdf.missing_glyphs}).encode(), pdf.content
    return json.dumps(answer).encode(), b""


def _places(error: Exception) -> str:
    """The type, and where: not what it says, which may quote the document."""
    frames = traceback.extract_tb(error.__traceback__)[-_PLACES:]
    places = " < ".join(
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
    return f"{type(error).__name__} at {places}"


def _received(outcome: Outcome) -> RenderedPdf:
    """In the parent: what the child's `_answer` says."""
    answer: dict[str, Any] = json.loads(outcome.head)
    match answer:
        case {"kind": "drawn", "missing_glyphs": int(missing_glyphs)}:
            return RenderedPdf(outcome.body, missing_glyphs)
        case {
            "kind": "not_drawn",
            "detail": str(detail),
            "ids": {"invoice": str(invoice)},
            "for_staff": str(for_staff),
        }:
            error = RenderFailed(detail, invoice=invoice)
            error.for_staff = for_staff
            raise error
        case {"kind": "refused", "detail": str(detail), "ids": dict(ids), "code": str(code)}:
            raise Unprocessable(detail, code=code, **ids)
    raise RendererCrashed(str(answer.get("detail")))
