"""A version is there once for each invoice, and for each payment's receipts; the newest is what the rows say."""

from collections.abc import Callable
from typing import Any

import pytest

from billing.documents.versions import DocumentRow
from billing.errors import DirectusRejected, RecordNotUnique, UpstreamUnavailable
from tests.fakes.firm_rows import INVOICE
from tests.unit.documents.office import Office, office
from tests.unit.documents.stories import PAYMENT, STORIES, Story, new_office


def versions(firm: Office) -> list[int]:
    """Sorted; and each row's key says the same."""
    for document in firm.documents:
        subject = PAYMENT if document["type"] == "receipt" else INVOICE
        assert document["version_key"] == f"{document['type']}:{subject}:{document['version']}"
    return sorted(document["version"] for document in firm.documents)


def newest(firm: Office) -> dict[str, Any]:
    return max(firm.documents, key=lambda document: document["version"])


def at_once(firm: Office, story: Story, effect: str, change: Callable[[Office], object]) -> None:
    """Two workers: the second draws newer rows, wholly, right before one effect of the first."""
    running: list[str] = []

    def the_other_is_faster(about_to: str) -> None:
        if about_to == effect and not running:
            running.append(about_to)
            change(firm)
            story.told(firm)

    firm.directus.effects.before = the_other_is_faster
    story.told(firm)
    assert running
    firm.directus.effects.before = str


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("name", STORIES)
def test_two_workers_with_different_contents_make_two_versions_and_the_newest_is_true(
    name: str, index: int, *, begun: bool
) -> None:
    """Without a third one to mend it; `begun`: there is a version before."""
    story, firm = STORIES[name], new_office()
    if begun:
        story.told(firm)
        firm.directus.firm["accent_color"] = "#005533"
        firm.directus.collections["payments"][PAYMENT]["amount"] = "50.01"
    at_once(firm, story, story.effects()[index], story.change)
    assert len(set(versions(firm))) == len(firm.documents) == 2 + begun
    amount = newest(firm)["printed_payments"][0]["amount"]
    if name == "receipt":
        assert newest(firm)["file"] == firm.directus.collections["payments"][PAYMENT]["receipt"]
        assert amount == firm.directus.collections["payments"][PAYMENT]["amount"]
    else:
        said = firm.store.objects[f"{newest(firm)['file']}.pdf"].decode()
        assert str(firm.renderer.drawn[-1].total) in said
        assert firm.invoice["total"] in str(firm.renderer.drawn[-1].total)
        assert firm.invoice["total"] in said


def test_an_invoice_whose_content_comes_back_has_its_first_document_as_the_newest() -> None:
    firm = office()
    for colour in ("", "#005533", ""):
        firm.directus.firm["accent_color"] = colour
        firm.render.render_invoice(INVOICE)
    first, second = firm.documents
    assert (first["version"], second["version"], len(firm.store.objects)) == (3, 2, 2)
    assert versions(firm) == [2, 3]
    firm.directus.effects.done.clear()
    firm.render.render_invoice(INVOICE)
    assert firm.directus.effects.done == []


def test_who_meets_its_own_document_though_there_was_none_looks_whether_the_rows_have_changed() -> None:
    """Another worker has made it meanwhile: nothing says that this one was in time."""
    firm = office()
    running: list[str] = []

    def made_and_changed(about_to: str) -> None:
        if about_to == "create documents" and not running:
            running.append(about_to)
            firm.render.render_invoice(INVOICE)
            firm.directus.firm["accent_color"] = "#005533"

    firm.directus.effects.before = made_and_changed
    firm.render.render_invoice(INVOICE)
    assert versions(firm) == [1, 2]


def test_who_brings_a_document_forward_looks_whether_the_rows_have_changed_again() -> None:
    firm = office()
    for colour in ("", "#005533"):
        firm.directus.firm["accent_color"] = colour
        firm.render.render_invoice(INVOICE)
    firm.directus.firm["accent_color"] = ""
    running: list[str] = []

    def changed_again(about_to: str) -> None:
        if about_to == "update documents" and not running:
            running.append(about_to)
            firm.directus.firm["accent_color"] = "#101010"
            firm.render.render_invoice(INVOICE)

    firm.directus.effects.before = changed_again
    firm.render.render_invoice(INVOICE)
    third = firm.documents[2]
    assert (newest(firm), len(firm.documents)) == (third, 3)
    assert versions(firm) == [2, 4, 5]


def test_a_version_that_is_held_by_a_row_of_another_invoice_is_passed_over() -> None:
    """An administrator has put a document elsewhere: it keeps its key."""
    firm = office()
    firm.render.render_invoice(INVOICE)
    firm.documents[0]["invoice"] = "elsewhere"
    firm.directus.firm["accent_color"] = "#005533"
    firm.render.render_invoice(INVOICE)
    assert [document["version"] for document in firm.documents] == [1, 2]


def test_versions_that_are_always_taken_are_tried_again_later() -> None:
    firm = office()

    def taken(about_to: str) -> None:
        if about_to == "update documents":
            message = "documents.version_key already holds this value."
            raise RecordNotUnique(message, collection="documents", field="version_key")

    firm.directus.effects.before = taken
    with pytest.raises(UpstreamUnavailable, match="all the time"):
        firm.render.render_invoice(INVOICE)
    firm.directus.effects.before = str
    firm.render.render_invoice(INVOICE)
    assert versions(firm) == [1]


def test_a_refusal_to_show_a_document_is_not_taken_for_one_that_was_shown() -> None:
    """An older guard, or a permission that is missing."""
    firm = office()

    def refuses(about_to: str) -> None:
        if about_to == "update documents":
            message = "Directus answered 403 FORBIDDEN to PATCH /items/documents."
            raise DirectusRejected(message, directus_code="FORBIDDEN")

    firm.directus.effects.before = refuses
    with pytest.raises(DirectusRejected):
        firm.render.render_invoice(INVOICE)
    firm.directus.effects.before = str
    firm.render.render_invoice(INVOICE)
    assert (versions(firm), firm.invoice["pdf_status"]) == ([1], "ready")


def test_one_that_another_worker_has_shown_in_this_instant_is_not_shown_twice() -> None:
    """The guard refuses the second; meanwhile staff may have hidden it."""
    firm = office()
    running: list[str] = []

    def shown_and_hidden(about_to: str) -> None:
        if about_to == "update documents" and not running:
            running.append(about_to)
            firm.render.render_invoice(INVOICE)
            firm.documents[0]["visible_to_client"] = False
            message = "Directus answered 403 FORBIDDEN to PATCH /items/documents."
            raise DirectusRejected(message, directus_code="FORBIDDEN")

    firm.directus.effects.before = shown_and_hidden
    firm.render.render_invoice(INVOICE)
    assert running
    assert (versions(firm), firm.documents[0]["visible_to_client"]) == ([1], False)


def test_a_document_is_brought_forward_past_versions_that_are_taken() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    (document,) = firm.documents
    firm.directus.collections["documents"]["other"] = {"id": "other", "version_key": f"invoice:{INVOICE}:5"}
    row = DocumentRow(document["id"], 1, document["file"], document["sha256"], document["content_hash"])
    firm.delivery.bring_forward(row, "invoice", INVOICE, 5)
    assert (document["version"], document["version_key"]) == (6, f"invoice:{INVOICE}:6")


def test_rows_that_never_stand_still_are_left_to_the_next_delivery() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    colours = (f"#00{number:02d}33" for number in range(10, 99))

    def changes(about_to: str) -> None:
        if about_to == "create documents":
            firm.directus.firm["accent_color"] = next(colours)

    firm.directus.effects.before = changes
    firm.directus.firm["accent_color"] = "#101010"
    with pytest.raises(UpstreamUnavailable, match="change while they are rendered"):
        firm.render.render_invoice(INVOICE)
