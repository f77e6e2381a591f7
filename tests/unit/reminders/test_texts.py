from __future__ import annotations

import string
import tomllib
from typing import Any

import pytest

from billing.documents.invoice import LANGUAGES
from billing.money import Money
from billing.reminders.policy import Contact, Firm, Remind
from billing.reminders.store import read_policy
from billing.reminders.texts import TEMPLATES, ReminderTexts
from tests.builders import usd
from tests.unit.reminders.support import DUE, FIRM, INVOICE


def compose(
    language: str = "en",
    *,
    balance: Money | None = None,
    firm: Firm = FIRM,
    name: str = "Zoë Núñez",
    portal_url: str = "",
    step: str = "overdue_1",
) -> Any:
    remind = Remind(INVOICE, step, "key", balance or usd("1234.50"), DUE)
    contact = Contact("client-1", name, "client@client.example", "email", language)
    return ReminderTexts(portal_url).compose(remind, invoice_number="INV-7", contact=contact, firm=firm)


def texts(language: str) -> dict[str, Any]:
    return tomllib.loads((TEMPLATES / f"{language}.toml").read_text(encoding="utf-8"))


def placeholders(document: dict[str, Any]) -> dict[str, set[str]]:
    """By key (`step.key` below a step): the names in braces."""
    flat = {key: value for key, value in document.items() if isinstance(value, str)}
    for step, sentences in document.items():
        if isinstance(sentences, dict):
            flat |= {f"{step}.{key}": value for key, value in sentences.items()}
    return {
        key: {name for _, name, _, _ in string.Formatter().parse(value) if name}
        for key, value in flat.items()
    }


def test_there_are_texts_in_four_languages() -> None:
    assert {path.stem for path in TEMPLATES.glob("*.toml")} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_sentences(language: str) -> None:
    assert set(placeholders(texts(language))) == set(placeholders(texts("en")))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_step_of_the_policy_names_invoice_amount_and_due_date(language: str) -> None:
    for step in read_policy().steps:
        found = placeholders(texts(language))
        assert found[f"{step.name}.opening"] == {"invoice_number", "balance_due", "due_date"}
        assert "invoice_number" in found[f"{step.name}.subject"]


@pytest.mark.parametrize(
    ("language", "amount", "due"),
    [
        ("en", "$1,234.50", "March 2, 2026"),
        ("en-GB", "US$1,234.50", "2 March 2026"),
        ("de", "1.234,50\xa0$", "2. März 2026"),
        ("fr", "1\u202f234,50\xa0$US", "2 mars 2026"),
        ("es", "1.234,50\xa0US$", "2 de marzo de 2026"),
    ],
)
def test_amounts_and_dates_are_written_as_the_client_writes_them(
    language: str, amount: str, due: str
) -> None:
    mail = compose(language)
    for body in (mail.text, mail.html):
        assert amount in body
        assert due in body


def test_yen_have_no_decimals() -> None:
    assert "¥1,200" in compose(balance=Money(1200, "JPY")).text
    assert "1,200.00" not in compose(balance=Money(1200, "JPY")).text


@pytest.mark.parametrize(
    ("client", "firm", "expected"),
    [
        ("fr-CA", "en", "fr-CA"),
        ("ja", "de", "de"),
        ("", "es", "es"),
        ("ja", "pl", "en"),
        ("DE_at", "en", "DE_at"),
    ],
)
def test_the_clients_language_comes_first_then_the_firms_then_english(
    client: str, firm: str, expected: str
) -> None:
    assert ReminderTexts().language(client, firm) == expected


@pytest.mark.parametrize("language", ["en-XX", "DE_at", "fr-1", "zz", ""])
def test_an_odd_language_tag_still_gives_a_mail(language: str) -> None:
    assert "INV-7" in compose(language).subject


def test_the_mail_is_the_firms_and_answers_go_to_the_firm() -> None:
    mail = compose()
    assert (mail.sender_name, mail.recipient, mail.reply_to) == (
        "Ávila & Partners",
        "client@client.example",
        "billing@firm.example",
    )


def test_names_cannot_become_markup() -> None:
    mail = compose(name='<img src="x">{invoice_number}')
    assert "<img" not in mail.html
    assert "&lt;img" in mail.html
    assert '<img src="x">{invoice_number}' in mail.text  # plain text shows what it is, and fills in nothing


def test_bank_details_are_told_with_the_reference_to_quote() -> None:
    mail = compose()
    for body in (mail.text, mail.html):
        assert "IBAN US00 0000" in body
        assert "Please quote INV-7" in body


def test_without_bank_details_and_portal_nothing_is_said_about_how_to_pay() -> None:
    mail = compose(firm=Firm(name="Ávila & Partners"))
    for body in (mail.text, mail.html):
        assert "How to pay" not in body
        assert "reply to this message" not in body  # nobody reads replies to an address the firm did not give


def test_a_link_is_printed_only_when_there_is_a_portal() -> None:
    assert "http" not in compose().text
    link = f"https://portal.example/invoices/{INVOICE}"
    mail = compose(portal_url="https://portal.example/")
    assert link in mail.text
    assert f'href="{link}"' in mail.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("step", ["overdue_1", "overdue_2", "overdue_3"])
def test_no_mail_shows_a_placeholder_or_an_empty_paragraph(language: str, step: str) -> None:
    mail = compose(language, step=step, portal_url="https://portal.example")
    for part in (mail.subject, mail.text, mail.html.partition("<body")[2].partition(">")[2]):
        assert "{" not in part
        assert "None" not in part
    assert "\n\n\n" not in mail.text
