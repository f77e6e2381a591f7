"""Receipts to look at: every language, every way to pay, other scripts, lengths, currencies, hostile text."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from billing.documents.invoice import LANGUAGES, Addressee, Letterhead, Logo, PostalAddress
from billing.documents.receipt import PrintedReceipt, ReceiptRecord, ReceivedPayment, print_receipt
from billing.ledger.ledger import PaymentStatus
from billing.money import Money
from tests.integration.render_pdf.electronic_samples import GERMAN_FIRM, GREEK_CLIENT
from tests.integration.render_pdf.sample_invoices import (
    ATTACK,
    CLIENT,
    FIRM,
    LOGO,
    SENT_AT,
    facts,
    hostile,
    unwieldy,
)

_LONG_NAME = (
    "Savings and Loan Association of the Northern Counties and of Everything Beyond Them, Incorporated"
)


def receipt(
    amount: Money | None = None,
    *,
    firm: Letterhead = GERMAN_FIRM,
    client: Addressee = GREEK_CLIENT,
    logo: Logo | None = LOGO,
    invoice: dict[str, Any] | None = None,
    **payment: Any,
) -> PrintedReceipt:
    """Of a card payment, for an invoice with everything; `payment` and `invoice` change columns."""
    row: dict[str, Any] = {
        "id": "0192f0c2-1111-7c11-9c3e-3d0f5a1b7e42",
        "status": PaymentStatus.SUCCEEDED,
        "method": "card",
        "booked_at": SENT_AT,
        "invoice": facts().ledger.id,
        "client": facts().ledger.client,
        "brand": "visa",
        "last4": "4242",
    }
    paid = ReceivedPayment(amount=amount or Money(123_456, "EUR"), **(row | payment))
    return print_receipt(ReceiptRecord(paid, facts(**(invoice or {})), firm, client), logo)


def _unwieldy() -> PrintedReceipt:
    printed = unwieldy()
    columns = {
        "number": printed.number,
        "matter_name": printed.matter_name,
        "matter_number": printed.matter_number,
    }
    big = Money(99_999_999_999_999, "USD")
    return receipt(
        big, firm=printed.firm, client=printed.client, logo=None, invoice=columns,
        method="us_bank_account", brand="", bank_name=_LONG_NAME,
    )  # fmt: skip


def _hostile() -> PrintedReceipt:
    printed = hostile()
    columns = {"number": printed.number, "matter_name": ATTACK, "matter_number": ATTACK}
    return receipt(firm=printed.firm, client=printed.client, invoice=columns, brand="", bank_name=ATTACK)


def _bare() -> PrintedReceipt:
    firm = Letterhead(name="Anna Weiss", currency="EUR", timezone="Europe/Paris", language="fr")
    nothing = {"matter_name": "", "matter_number": ""}
    return receipt(
        Money(1, "EUR"), firm=firm, client=Addressee("M. Dupont"), logo=None, invoice=nothing,
        method="other", brand="", last4="",
    )  # fmt: skip


_BY_HAND: dict[str, Any] = {"brand": "", "last4": ""}
RECEIPTS: dict[str, Callable[[], PrintedReceipt]] = {
    **{f"receipt in {language}": partial(receipt, invoice={"language": language}) for language in LANGUAGES},
    **{f"receipt by {method}": partial(receipt, method=method, **_BY_HAND) for method in ("wire", "check", "cash")},
    "receipt of a debit": partial(receipt, method="us_bank_account", brand="", bank_name="Banco de Crédito", last4="6789"),
    "receipt on letter paper": partial(receipt, Money(261_111, "USD"), firm=FIRM, client=CLIENT, logo=None),
    "receipt of yen": partial(
        receipt, Money(158_400, "JPY"),
        client=Addressee("株式会社さくら商事", PostalAddress(("東京都千代田区丸の内一丁目2番3号",), "JP")),
    ),
    "receipt in Arabic": partial(
        receipt, client=Addressee("شركة الأفق (LLC 2024)", PostalAddress(("شارع الملك فهد 12",), "SA")),
        invoice={"matter_name": "قضية رقم 12/2026 ضد Nordlys A/S"},
    ),
    "receipt with a long foot": lambda: receipt(firm=replace(GERMAN_FIRM, footer="Berufshaftpflicht\n" * 30)),
    "unwieldy receipt": _unwieldy,
    "hostile receipt": _hostile,
    "bare receipt": _bare,
}  # fmt: skip
