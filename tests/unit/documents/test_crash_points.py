"""Every point at which a renderer can die, before and after each of its effects: nothing is left that no row names.

The story is told for an invoice and for a receipt. After the crash the message comes again, as it was, with `force`,
or when the rows have changed meanwhile, so that the content which was begun will never be drawn again.
"""

import hashlib
from typing import Any

import pytest

from billing.documents.versions import UnfinishedDocument
from tests.fakes.documents import Crash
from tests.fakes.firm_rows import CLIENT, INVOICE
from tests.unit.documents.office import Office
from tests.unit.documents.stories import PAYMENT, STORIES, Story, new_office

POINTS = [(story, moment, index) for story in STORIES for moment in ("before", "after") for index in range(6)]


def crash(firm: Office, story: Story, moment: str, effect: str) -> None:
    """Run once and die."""
    if moment == "after":
        firm.directus.effects.die_after = effect
    else:

        def die(about_to: str) -> None:
            if about_to == effect:
                raise Crash(effect)

        firm.directus.effects.before = die
    with pytest.raises(Crash):
        story.told(firm)
    firm.directus.effects.die_after, firm.directus.effects.before = None, str


def everything_is_named_once(firm: Office) -> None:
    """One object, one file row and one documents row for each content; and what the row says is true."""
    files = {file["id"]: file for file in firm.pdf_files}
    documents = {document["file"]: document for document in firm.documents}
    assert len(documents) == len(firm.documents)
    assert files.keys() == documents.keys()
    assert firm.store.objects.keys() == {f"{file}.pdf" for file in files}
    assert len({document["content_hash"] for document in firm.documents}) == len(firm.documents)
    assert [document["version"] for document in firm.documents] == list(range(1, len(firm.documents) + 1))
    assert firm.unfinished.objects == {}
    for file, document in documents.items():
        content = firm.store.objects[f"{file}.pdf"]
        assert document["sha256"] == hashlib.sha256(content).hexdigest() == firm.store.sha256[f"{file}.pdf"]
        assert files[file]["filesize"] == len(content)


def newest_is_the_documents(firm: Office, story: Story) -> None:
    if story.message["type"] == "invoice":
        assert (firm.invoice["pdf_status"], firm.invoice["pdf_error"]) == ("ready", None)
    else:
        row = firm.directus.collections["payments"][PAYMENT]
        assert (row["receipt"], row["receipt_error"]) == (firm.documents[-1]["file"], None)
        (printed,) = firm.documents[-1]["printed_payments"]
        assert printed["amount"] == row["amount"]


@pytest.mark.parametrize("name", STORIES)
def test_these_are_all_the_effects(name: str) -> None:
    firm = new_office()
    STORIES[name].told(firm)
    assert firm.directus.effects.done == STORIES[name].effects
    everything_is_named_once(firm)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(("name", "moment", "index"), POINTS)
def test_the_next_delivery_continues(name: str, moment: str, index: int, *, force: bool) -> None:
    story, undisturbed = STORIES[name], new_office()
    story.told(undisturbed)
    firm = new_office()
    crash(firm, story, moment, story.effects[index])
    story.told(firm, force=force)
    assert firm.state() == undisturbed.state()
    assert firm.directus.collections["payments"] == undisturbed.directus.collections["payments"]
    everything_is_named_once(firm)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(("name", "moment", "index"), POINTS)
def test_what_was_begun_before_the_rows_changed_is_brought_to_its_end(
    name: str, moment: str, index: int, *, force: bool
) -> None:
    story, firm = STORIES[name], new_office()
    crash(firm, story, moment, story.effects[index])
    story.change(firm)
    story.told(firm, force=force)
    everything_is_named_once(firm)
    newest_is_the_documents(firm, story)
    begun = 0 if (moment, index) == ("before", 0) else 1
    assert len(firm.documents) == begun + 1


@pytest.mark.parametrize(("name", "moment", "index"), POINTS)
def test_dying_twice_is_no_worse(name: str, moment: str, index: int) -> None:
    """The second one dies at the same effect, of its adoption or of its own."""
    story, firm = STORIES[name], new_office()
    crash(firm, story, moment, story.effects[index])
    story.change(firm)
    if index < 5 or story.message["type"] == "invoice":
        crash(firm, story, moment, story.effects[index])
    story.told(firm)
    everything_is_named_once(firm)
    newest_is_the_documents(firm, story)


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("name", STORIES)
def test_forced_bytes_that_differ_are_brought_to_their_end_or_drawn_again(name: str, index: int) -> None:
    story, firm = STORIES[name], new_office()
    story.told(firm)
    firm.renderer.ink = "blue"
    effects = [
        "keep unfinished", "put object", "update directus_files", "update documents", "forget unfinished", None,
    ]  # fmt: skip
    firm.directus.effects.done.clear()
    firm.directus.effects.die_after = effects[index]
    if effects[index] is None:
        story.told(firm, force=True)
    else:
        with pytest.raises(Crash):
            story.told(firm, force=True)
    firm.directus.effects.die_after = None
    story.told(firm)
    everything_is_named_once(firm)
    assert len(firm.documents) == 1
    assert b"blue" in next(iter(firm.store.objects.values()))


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("changes", [False, True])
def test_two_workers_at_once(name: str, index: int, *, changes: bool) -> None:
    """A second worker does everything in the instant before one effect of the first, of the same or a newer content."""
    story, firm = STORIES[name], new_office()
    running: list[str] = []

    def the_other_is_faster(about_to: str) -> None:
        if about_to == story.effects[index] and not running:
            running.append(about_to)
            if changes:
                story.change(firm)
            story.told(firm)

    firm.directus.effects.before = the_other_is_faster
    story.told(firm)
    assert running
    firm.directus.effects.before = str
    story.told(firm)  # the change asks for it, too
    contents = {document["content_hash"] for document in firm.documents}
    assert (
        len(contents) == len(firm.documents) == len(firm.pdf_files) == len(firm.store.objects) == 1 + changes
    )
    assert firm.unfinished.objects == {}
    if name == "receipt":
        row = firm.directus.collections["payments"][PAYMENT]
        (named,) = [document for document in firm.documents if document["file"] == row["receipt"]]
        assert named["printed_payments"][0]["amount"] == row["amount"]


def test_a_receipt_begun_is_no_matter_of_the_invoices_messages() -> None:
    firm = new_office()
    crash(firm, STORIES["receipt"], "after", "keep unfinished")
    STORIES["invoice"].told(firm)
    assert [document["type"] for document in firm.documents] == ["invoice"]
    assert len(firm.unfinished.objects) == 1
    STORIES["receipt"].told(firm)
    assert firm.unfinished.objects == {}
    assert {document["client"] for document in firm.documents} == {CLIENT}


def test_what_cannot_be_read_stays_and_keeps_nothing_from_being_drawn() -> None:
    firm = new_office()
    firm.unfinished.objects[f"{INVOICE}/x"] = b"?"
    STORIES["invoice"].told(firm)
    assert (len(firm.documents), list(firm.unfinished.objects)) == (1, [f"{INVOICE}/x"])


@pytest.mark.parametrize("written", [b"", b"{}\n", b"[]\n%PDF", b"\xff\xfe\n", b'{"content_hash": 1}\n'])
def test_what_nobody_of_ours_has_written_is_none(written: bytes) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        UnfinishedDocument.from_bytes(INVOICE, written)


def test_what_waits_is_read_back_as_it_was_kept() -> None:
    firm = new_office()
    crash(firm, STORIES["invoice"], "after", "keep unfinished")
    ((_, written),) = firm.unfinished.objects.items()
    document: Any = UnfinishedDocument.from_bytes(INVOICE, written)
    assert document.to_bytes() == written
    assert document.planned.printed_payments[0].amount.minor == 30_000
    assert document.content.startswith(b"%PDF")
