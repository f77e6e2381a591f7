"""A document that ends its worker, by memory or time, which nothing in the worker can say: `failed` is written first."""

from dataclasses import replace
from typing import Any

import pytest

from billing.aws.queue_worker import GiveUp, disposition
from billing.documents.deliver import Order
from billing.errors import Parked, RenderFailed, UpstreamUnavailable
from tests.fakes.documents import Crash
from tests.fakes.firm_rows import INVOICE
from tests.unit.documents.office import Office
from tests.unit.documents.stories import PAYMENT, STORIES, new_office

REASON = "could not be rendered within the function's limits"
EACH = pytest.mark.parametrize("name", STORIES)


def said(firm: Office, name: str) -> tuple[str | None, str | None]:
    """What staff see: whether there is a document, and why not."""
    if name == "invoice":
        return firm.invoice["pdf_status"], firm.invoice["pdf_error"]
    row = firm.directus.collections["payments"][PAYMENT]
    error = row["receipt_error"]
    return ("ready" if row["receipt"] else "failed" if error else "pending"), error


def delivered(firm: Office, name: str, receive: int, *, message: str = "one", force: bool = False) -> None:
    firm.work.handle(replace(STORIES[name].message, force=force), Order(message, receive))


def killed(firm: Office, name: str, receive: int, **order: Any) -> None:
    """Rendering ends the worker."""
    firm.renderer.error = Crash("killed")
    with pytest.raises(Crash):
        delivered(firm, name, receive, **order)
    firm.renderer.error = None


def postponed(firm: Office, name: str, receive: int, **order: Any) -> None:
    with pytest.raises(UpstreamUnavailable):
        delivered(firm, name, receive, **order)


def parked(firm: Office, name: str, receive: int, **order: Any) -> None:
    rendered = len(firm.renderer.drawn) + len(firm.renderer.receipts)
    with pytest.raises(Parked) as error:
        delivered(firm, name, receive, **order)
    assert error.value.code == "beyond_limits"
    assert isinstance(disposition(error.value, receive), GiveUp)
    assert len(firm.renderer.drawn) + len(firm.renderer.receipts) == rendered
    status, reason = said(firm, name)
    assert (status, REASON in str(reason)) == ("failed", True)


@EACH
def test_two_deliveries_that_end_their_worker_say_nothing_the_third_says_so_and_the_fourth_is_parked(
    name: str,
) -> None:
    firm = new_office()
    for receive in (1, 2):
        killed(firm, name, receive)
        assert said(firm, name) == ("pending", None)
    killed(firm, name, 3)
    status, reason = said(firm, name)
    assert (status, REASON in str(reason)) == ("failed", True)
    parked(firm, name, 4)
    assert [row["visible_to_client"] for row in firm.documents] == [False]


@EACH
def test_it_is_said_before_anything_is_rendered_and_success_overwrites_it(name: str) -> None:
    firm, undisturbed = new_office(), new_office()
    STORIES[name].told(undisturbed)
    delivered(firm, name, 3)
    begun, *file, shown, ready = STORIES[name].effects()
    assert firm.directus.effects.done == [begun, ready, shown, *file, shown, ready]
    assert said(firm, name) == ("ready", None)
    assert firm.state() == undisturbed.state()
    firm.directus.effects.done.clear()
    delivered(firm, name, 4)
    assert said(firm, name) == ("ready", None)
    assert set(firm.directus.effects.done) <= {ready}


@EACH
def test_what_is_rendered_again_by_force_is_never_left_failed(name: str) -> None:
    """The payment's row says the same before and after, but for what was written between."""
    firm = new_office()
    STORIES[name].told(firm)
    before = firm.state()
    delivered(firm, name, 3, force=True)
    assert (firm.state(), said(firm, name)) == (before, ("ready", None))


@EACH
def test_an_outage_before_rendering_is_never_said_to_be_a_failure(name: str) -> None:
    """However often: the first delivery that renders is the first chance."""
    firm = new_office()
    firm.directus.firm["logo"] = "logo"
    firm.directus.collections["directus_files"]["logo"] = {"id": "logo", "type": "image/png", "filesize": 4}
    firm.files.refusal = UpstreamUnavailable("Directus is away.")
    for receive in range(1, 9):
        postponed(firm, name, receive)
        assert said(firm, name) == ("pending", None)
    firm.files.refusal, firm.files.contents["logo"] = None, b"\x89PNG"
    killed(firm, name, 9)
    assert said(firm, name)[0] == "failed"
    parked(firm, name, 10)


@EACH
@pytest.mark.parametrize("effect", ["put object", "create directus_files", "update documents"])
def test_an_outage_after_rendering_takes_it_back(name: str, effect: str) -> None:
    firm = new_office()

    def away(about_to: str) -> None:
        if about_to == effect and (firm.renderer.drawn or firm.renderer.receipts):
            firm.directus.effects.before = str
            message = "S3 is away."
            raise UpstreamUnavailable(message)

    firm.directus.effects.before = away
    postponed(firm, name, 3)
    assert said(firm, name) == ("pending", None)
    delivered(firm, name, 4)
    assert said(firm, name) == ("ready", None)


@EACH
def test_a_new_order_has_its_own_chance(name: str) -> None:
    """*Render again*, or the dead letter on its way back: the function may have more memory now."""
    firm = new_office()
    killed(firm, name, 3)
    parked(firm, name, 4)
    killed(firm, name, 3, message="two")
    parked(firm, name, 4, message="two")
    delivered(firm, name, 5, message="three")
    assert said(firm, name) == ("ready", None)


@EACH
def test_two_orders_for_the_same_document_are_both_parked(name: str) -> None:
    """The sending and the writer ask for one each; the second of them waits for the first to be parked."""
    firm = new_office()
    for message in ("one", "two"):
        killed(firm, name, 3, message=message)
    parked(firm, name, 4)
    killed(firm, name, 4, message="two")
    parked(firm, name, 5, message="two")


@EACH
def test_other_content_has_its_own_chance(name: str) -> None:
    firm = new_office()
    killed(firm, name, 3)
    STORIES[name].change(firm)
    delivered(firm, name, 4)
    assert said(firm, name) == ("ready", None)
    assert [row["version"] for row in firm.documents if row["visible_to_client"]] == [1]


def test_what_the_data_forbid_is_said_instead_and_leaves_no_mark() -> None:
    firm = new_office()
    firm.renderer.error = RenderFailed("The document could not be rendered.", quote="Zoë", invoice=INVOICE)
    delivered(firm, "invoice", 3)
    assert said(firm, "invoice") == ("failed", "The document could not be rendered: Zoë")
    killed(firm, "invoice", 3, message="two")
    parked(firm, "invoice", 4, message="two")


@EACH
def test_a_bug_of_ours_is_not_said_to_be_the_documents_fault(name: str) -> None:
    firm = new_office()
    firm.renderer.error = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        delivered(firm, name, 3)
    status, reason = said(firm, name)
    assert (status, reason) == ("pending", None)
    firm.renderer.error = None
    delivered(firm, name, 4)
    assert said(firm, name) == ("ready", None)
