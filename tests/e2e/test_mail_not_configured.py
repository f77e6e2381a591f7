"""Reminders from an account in SES's sandbox, on the deployed stack: held back, told of, and sent once it is left."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.demo import steps
from local.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.demo.steps import Firm


def overdue(firm: Firm) -> dict[str, Any]:
    today = datetime.now(UTC).date()
    lines = [steps.fee("Advice on the lease", "2.00", "50.00", "100.00")]
    dates = {"issue_date": str(today - timedelta(days=40)), "due_date": str(today - timedelta(days=10))}
    row = steps.draft_invoice(firm, firm.staff[0], firm.client_of(0), lines, tax_rate="0", **dates)
    return steps.send_invoice(firm, firm.staff[0], str(row["id"]))


@contextmanager
def in_the_sandbox(firm: Firm) -> Iterator[None]:
    """Every new account of AWS is: it sends to verified addresses only."""
    ses = firm.aws("sesv2")
    about = {"MailType": "TRANSACTIONAL", "WebsiteURL": "https://firm.example"}
    ses.put_account_details(ProductionAccessEnabled=False, **about)
    try:
        yield
    finally:
        ses.put_account_details(ProductionAccessEnabled=True, **about)


def notices(firm: Firm, invoice: dict[str, Any]) -> list[tuple[str, str | None]]:
    rows = firm.administrator.list("notices", {"invoice": {"_eq": invoice["id"]}})
    return sorted(((row["status"], row["dedupe_key"]) for row in rows), key=str)


def reminded(firm: Firm) -> None:
    """An hourly run, at noon of the firm, and all its messages."""
    firm.invoke("reminders", {"as_of": datetime.now(UTC).date().isoformat()})
    wait_for("the messages to be worked off", lambda: steps.is_empty(firm, "reminders"))


def test_reminders_wait_until_the_account_leaves_the_sandbox_and_then_go_out_once(firm: Firm) -> None:
    invoices = [overdue(firm) for _ in range(3)]
    with in_the_sandbox(firm):
        for runs in (1, 2):
            reminded(firm)
            for invoice in invoices:
                assert notices(firm, invoice) == [("skipped", None)] * runs
        assert steps.is_empty(firm, "reminders_dlq")
    group = f"/aws/lambda/{firm.description['functions']['names']['reminders_sender']}"
    events = firm.aws("logs").filter_log_events(logGroupName=group, filterPattern='"MailNotConfigured"')[
        "events"
    ]
    assert any('"Namespace":"LegalBilling/local"' in event["message"] for event in events), (
        "the alarm's metric"
    )

    for _ in range(2):
        reminded(firm)
    for invoice in invoices:
        statuses = [status for status, _ in notices(firm, invoice)]
        assert statuses == ["sent", "skipped", "skipped"]
        number = invoice["invoice_number"]
        mails = [mail for mail in firm.messages() if number in mail["subject"] + mail["text"]]
        assert len(mails) == 1
