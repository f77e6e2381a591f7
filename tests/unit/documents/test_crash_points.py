"""Every point at which a renderer can die, before and after each of its effects: no client sees what is not whole.

The story is told for an invoice and for a receipt, in both deliveries. After the crash the message comes again, as it
was, with `force`, or when the rows have changed meanwhile, so that the content which was begun will never be rendered
again: its row stays hidden, has no version, and is how what it has left is found.
"""

import hashlib
from typing import Any
from uuid import UUID, uuid5

import pytest

from tests.fakes.documents import Crash
from tests.unit.documents.office import Office
from tests.unit.documents.stories import PAYMENT, STORIES, Story, new_office

POINTS = [
    (name, moment, index, upload)
    for name in STORIES
    for moment in ("before", "after")
    for index in range(5)
    for upload in (False, True)
]


def crash(firm: Office, story: Story, moment: str, effect: str, *, force: bool = False) -> None:
    """Run once and die."""
    if moment == "after":
        firm.directus.effects.die_after = effect
    else:

        def die(about_to: str) -> None:
            if about_to == effect:
                raise Crash(effect)

        firm.directus.effects.before = die
    with pytest.raises(Crash):
        story.told(firm, force=force)
    firm.directus.effects.die_after, firm.directus.effects.before = None, str


def shown(firm: Office) -> list[dict[str, Any]]:
    """What clients see, in the order of the versions."""
    documents = [document for document in firm.documents if document["visible_to_client"]]
    return sorted(documents, key=lambda document: document["version"])


def begun(firm: Office) -> list[dict[str, Any]]:
    return [document for document in firm.documents if not document["visible_to_client"]]


def what_is_seen_is_whole(firm: Office) -> None:
    """Its file and its bytes are there and are what the row says; no version is missing, none there twice."""
    files = {file["id"]: file for file in firm.pdf_files}
    for document in shown(firm):
        content = firm.store.objects[f"{document['file']}.pdf"]
        assert document["sha256"] == hashlib.sha256(content).hexdigest()
        assert files[document["file"]]["filesize"] == len(content)
    assert [document["version"] for document in shown(firm)] == list(range(1, len(shown(firm)) + 1))
    assert len({document["content_hash"] for document in firm.documents}) == len(firm.documents)
    for document in begun(firm):
        said = {
            name: document.get(name) for name in ("file", "sha256", "version", "version_key", "withdrawn_at")
        }
        assert not any(said.values()), said


def nothing_is_left_that_no_row_names(firm: Office) -> None:
    """By its `file`; of what is begun by the name that the runbook derives from its hash."""
    named = {document["file"] for document in shown(firm)} | {
        str(uuid5(UUID(document["invoice"]), f"{document['type']}:{document['content_hash']}"))
        for document in begun(firm)
    }
    assert {file["id"] for file in firm.pdf_files} <= named
    assert {key.removesuffix(".pdf") for key in firm.store.objects} <= named


def newest_is_the_documents(firm: Office, story: Story) -> None:
    if story.message.type == "invoice":
        assert (firm.invoice["pdf_status"], firm.invoice["pdf_error"]) == ("ready", None)
    else:
        row = firm.directus.collections["payments"][PAYMENT]
        assert (row["receipt"], row["receipt_error"]) == (shown(firm)[-1]["file"], None)
        (printed,) = shown(firm)[-1]["printed_payments"]
        assert printed["amount"] == row["amount"]


@pytest.mark.parametrize("upload", [False, True])
@pytest.mark.parametrize("name", STORIES)
def test_these_are_all_the_effects(name: str, *, upload: bool) -> None:
    firm = new_office(upload=upload)
    STORIES[name].told(firm)
    assert firm.directus.effects.done == STORIES[name].effects(upload=upload)
    assert (len(shown(firm)), begun(firm)) == (1, [])
    what_is_seen_is_whole(firm)
    nothing_is_left_that_no_row_names(firm)


@pytest.mark.parametrize(("name", "moment", "index", "upload"), POINTS)
def test_nobody_sees_anything_of_a_crash_but_what_is_whole(
    name: str, moment: str, index: int, *, upload: bool
) -> None:
    story, firm = STORIES[name], new_office(upload=upload)
    crash(firm, story, moment, story.effects(upload=upload)[index])
    what_is_seen_is_whole(firm)
    nothing_is_left_that_no_row_names(firm)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(("name", "moment", "index", "upload"), POINTS)
def test_the_next_delivery_continues(
    name: str, moment: str, index: int, *, upload: bool, force: bool
) -> None:
    story, undisturbed = STORIES[name], new_office(upload=upload)
    story.told(undisturbed)
    firm = new_office(upload=upload)
    crash(firm, story, moment, story.effects(upload=upload)[index])
    story.told(firm, force=force)
    assert firm.state() == undisturbed.state()
    assert firm.directus.collections["payments"] == undisturbed.directus.collections["payments"]
    what_is_seen_is_whole(firm)
    nothing_is_left_that_no_row_names(firm)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(("name", "moment", "index", "upload"), POINTS)
def test_what_was_begun_before_the_rows_changed_stays_hidden_and_takes_no_version(
    name: str, moment: str, index: int, *, upload: bool, force: bool
) -> None:
    story, firm = STORIES[name], new_office(upload=upload)
    crash(firm, story, moment, story.effects(upload=upload)[index])
    was_shown = len(shown(firm))
    was_begun = len(begun(firm))
    story.change(firm)
    story.told(firm, force=force)
    what_is_seen_is_whole(firm)
    nothing_is_left_that_no_row_names(firm)
    newest_is_the_documents(firm, story)
    assert (len(shown(firm)), len(begun(firm))) == (was_shown + 1, was_begun)
    replaces = 1 if name == "invoice" and was_shown else None
    assert shown(firm)[-1]["replaces"] == replaces, "it corrects what a client has seen, and nothing else"


@pytest.mark.parametrize(("name", "moment", "index", "upload"), POINTS)
def test_content_that_comes_back_is_completed_under_its_own_ids(
    name: str, moment: str, index: int, *, upload: bool
) -> None:
    story, firm = STORIES[name], new_office(upload=upload)
    crash(firm, story, moment, story.effects(upload=upload)[index])
    before = {document["id"] for document in firm.documents}
    story.change(firm)
    story.told(firm)
    story.change_back(firm)
    story.told(firm)
    what_is_seen_is_whole_but_for_numbers(firm)
    newest_is_the_documents(firm, story)
    assert (len(firm.documents), begun(firm)) == (2, [])
    assert not before or shown(firm)[-1]["id"] in before


def what_is_seen_is_whole_but_for_numbers(firm: Office) -> None:
    """A version that was the newest before leaves its number when it becomes the newest again."""
    for document in shown(firm):
        content = firm.store.objects[f"{document['file']}.pdf"]
        assert document["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(("name", "moment", "index", "upload"), POINTS)
def test_dying_twice_is_no_worse(name: str, moment: str, index: int, *, upload: bool) -> None:
    """The second one dies at the same effect."""
    story, firm = STORIES[name], new_office(upload=upload)
    effect = story.effects(upload=upload)[index]
    crash(firm, story, moment, effect)
    story.change(firm)
    crash(firm, story, moment, effect)
    story.told(firm)
    what_is_seen_is_whole(firm)
    nothing_is_left_that_no_row_names(firm)
    newest_is_the_documents(firm, story)


@pytest.mark.parametrize(
    ("effect", "upload"),
    [
        ("put object", False),
        ("update directus_files", False),
        ("update documents", False),
        ("put object", True),
        ("update documents", True),
    ],
)
@pytest.mark.parametrize("name", STORIES)
def test_bytes_that_were_forced_and_differ_are_named_by_the_next_delivery(
    name: str, effect: str, *, upload: bool
) -> None:
    story, firm = STORIES[name], new_office(upload=upload)
    story.told(firm)
    firm.renderer.ink = "blue"
    crash(firm, story, "after", effect, force=True)
    story.told(firm)
    what_is_seen_is_whole(firm)
    assert (len(shown(firm)), begun(firm)) == (1, [])
    assert b"blue" in next(iter(firm.store.objects.values()))


@pytest.mark.parametrize("upload", [False, True])
@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("changes", [False, True])
def test_two_workers_at_once(name: str, index: int, *, changes: bool, upload: bool) -> None:
    """A second worker does everything in the instant before one effect of the first, of the same or a newer content."""
    story, firm = STORIES[name], new_office(upload=upload)
    running: list[str] = []

    def the_other_is_faster(about_to: str) -> None:
        if about_to == story.effects(upload=upload)[index] and not running:
            running.append(about_to)
            if changes:
                story.change(firm)
            story.told(firm)

    firm.directus.effects.before = the_other_is_faster
    story.told(firm)
    assert running
    firm.directus.effects.before = str
    story.told(firm)  # the change asks for it, too
    assert len(shown(firm)) == len(firm.pdf_files) == len(firm.store.objects) == 1 + changes
    assert begun(firm) == []
    if name == "receipt":
        row = firm.directus.collections["payments"][PAYMENT]
        (named,) = [document for document in firm.documents if document["file"] == row["receipt"]]
        assert named["printed_payments"][0]["amount"] == row["amount"]


@pytest.mark.parametrize("name", STORIES)
def test_a_document_that_staff_hide_is_never_shown_again(name: str) -> None:
    """It has a hash of its bytes: it was shown before."""
    story, firm = STORIES[name], new_office()
    story.told(firm)
    firm.documents[0]["visible_to_client"] = False
    for force in (False, True):
        firm.renderer.ink = f"ink {force}"
        story.told(firm, force=force)
        assert shown(firm) == []


def test_a_void_invoice_whose_document_was_begun_gets_none() -> None:
    story, firm = STORIES["invoice"], new_office()
    crash(firm, story, "after", "create documents")
    firm.invoice["status"] = "void"
    story.told(firm)
    assert (shown(firm), firm.invoice["pdf_status"]) == ([], "failed")
