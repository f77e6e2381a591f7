from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from billing.adapters.pdf_renderer import RenderedPdf
from billing.adapters.warm_start import draw_once, is_init, nobodys_invoice, reseed_after_restore
from billing.errors import NotDrawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.core.printed_invoice import Logo, PrintedInvoice


class Renderer:
    """Remembers what it was asked to draw; refuses when told to."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.drawn: list[PrintedInvoice] = []
        self._refuses = refuses

    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
        assert logo is None
        self.drawn.append(printed)
        if self._refuses:
            message = "The document could not be drawn (ValueError)."
            raise NotDrawn(message, quote="", invoice=printed.id)
        return RenderedPdf(b"")


def test_one_document_is_drawn_and_its_failure_is_left_to_the_documents_that_follow() -> None:
    for refuses in (False, True):
        renderer = Renderer(refuses=refuses)
        draw_once(renderer)
        assert [printed.number for printed in renderer.drawn] == ["0"]


def test_nobodys_invoice_has_the_parts_of_every_invoice() -> None:
    printed = nobodys_invoice()
    (group,) = printed.groups
    assert (group.has_dates, group.has_hours, printed.due_date is not None) == (True, True, True)
    assert printed.tax.minor == 10


@pytest.mark.parametrize("kind", ["on-demand", "provisioned-concurrency", "snap-start"])
def test_lambda_always_says_how_it_initialised(kind: str) -> None:
    assert is_init({"AWS_LAMBDA_INITIALIZATION_TYPE": kind})
    assert not is_init({})


def test_environments_of_one_snapshot_do_not_share_their_random_numbers() -> None:
    hooks: list[Callable[..., Any]] = []
    reseed_after_restore({"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}, hooks.append)
    (hook,) = hooks
    snapshot, drawn = random.getstate(), []
    try:
        for _ in range(2):
            random.setstate(snapshot)
            hook()
            drawn.append(random.getstate())
    finally:
        random.setstate(snapshot)
    assert drawn[0] != drawn[1]


def test_without_snapshots_nothing_is_registered() -> None:
    def register(hook: object) -> None:
        raise AssertionError(hook)

    reseed_after_restore({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}, register)
    reseed_after_restore({}, register)
