"""`make demo`: the whole life of an invoice on the real Directus; each step prints what happened and where to look.

Ends with an exit code other than 0 if any step is not as it should be; the stack stays up.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from httpx import HTTPError

from local.demo import steps
from local.demo.people import pay_on_the_page
from local.demo.steps import Firm
from local.problem import Problem
from local.stack import Stack
from local.waiting import wait_for

DIRECTORY = Path(".local")
_STEPS = 10


class Demo:
    """Runs the steps in order and keeps what later ones need."""

    def __init__(self, firm: Firm, output: Path) -> None:
        self.firm = firm
        self.output = output
        self.today = datetime.now(UTC).date()
        self.where = "before the first step"
        self.invoices: list[str] = []
        self._number = 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print a step's title, run it, print how long it took."""
        self._number += 1
        self.where = f"in step {self._number}, {title!r}"
        print(f"\n{self._number}/{_STEPS}  {title}", flush=True)
        started = time.monotonic()
        yield
        print(f"     done in {time.monotonic() - started:.1f} s", flush=True)

    def run(self) -> None:
        """Every step."""
        invoice = self.send_first_invoice()
        self.download(invoice)
        self.pay_twice_delivered(invoice)
        second = self.pay_in_part()
        self.refund(invoice)
        self.lose_the_webhooks(second)
        self.remind()
        self.reconcile()

    def send_first_invoice(self) -> str:
        """Staff drafts an invoice and sends it; the PDF appears."""
        firm, staff = self.firm, self.firm.staff[0]
        with self.step("Staff drafts an invoice with line items"):
            lines = [
                steps.fee(
                    "Review of the lease and of the landlord's notice of default", "3.50", "420.00", "1470.00"
                ),
                steps.fee(
                    "Conference call with opposing counsel; follow-up letter", "1.25", "420.00", "525.00"
                ),
                steps.expense("Filing fee, county court", "435.00"),
                {"kind": "discount", "description": "Courtesy discount", "amount": "-100.00"},
            ]
            draft = self.draft(lines, matter_number="M-2041", matter_name="Lease, 12 Harbor Street")
            say("invoice", draft["invoice_number"])
            say("look", f"{firm.directus_url}/admin/content/invoices/{draft['id']}")
            seen = firm.clients[0].ask("GET", f"/items/invoices/{draft['id']}").status
            check(seen == HTTPStatus.FORBIDDEN, f"The client could read a draft ({seen}).")
            say("its client", "does not see the draft")
        with self.step("Staff sends it: totals are filled in, the flow orders the PDF"):
            sent = steps.send_invoice(firm, staff, draft["id"])
            check(sent["pdf_status"] == "ready", f"The PDF failed: {sent['pdf_error']}")
            check(Decimal(str(sent["total"])) == Decimal("2522.23"), f"The total is {sent['total']}.")
            say("total", f"{sent['total']} USD = 2330.00 + 8.25 % tax, status {sent['status']}")
        return str(draft["id"])

    def draft(self, lines: list[dict[str, Any]], **columns: object) -> dict[str, Any]:
        """Staff drafts an invoice of the first client."""
        firm = self.firm
        draft = steps.draft_invoice(firm, firm.staff[0], firm.client_of(0), lines, self.today, **columns)
        self.invoices.append(str(draft["id"]))
        return draft

    def download(self, invoice: str) -> None:
        """Its client downloads the PDF through Directus; others cannot."""
        firm = self.firm
        with self.step("Its client downloads the PDF through Directus; another client is refused"):
            (document,) = steps.documents_of(firm.clients[0], invoice)
            asset = f"/assets/{document['file']['id']}?download"
            pdf = firm.clients[0].ask("GET", asset)
            check(pdf.status == HTTPStatus.OK and pdf.body.startswith(b"%PDF-"), f"No PDF: {pdf.status}")
            path = self.output / document["file"]["filename_download"]
            path.write_bytes(pdf.body)
            say("saved", f"{path} ({len(pdf.body):,} bytes)")
            other = next(
                person
                for number, person in enumerate(firm.clients)
                if firm.client_of(number) != firm.client_of(0)
            )
            for who, person in (("another client", other), ("without a login", firm.anonymous)):
                status = person.ask("GET", asset).status
                check(status == HTTPStatus.FORBIDDEN, f"{who} got {status} for the PDF.")
                say(who, f"{status} Forbidden")

    def pay_twice_delivered(self, invoice: str) -> None:
        """The client pays; every webhook arrives twice; the invoice is paid once."""
        firm, client = self.firm, self.firm.clients[0]
        with (
            self.step("The client presses Pay and pays on Stripe's page; every webhook arrives twice"),
            self.delivered_twice(),
        ):
            checkout = self.press_pay(invoice)
            say("page", checkout["url"])
            again = self.press_pay(invoice)
            check(again["url"] == checkout["url"], "A second press opened a second session.")
            say("pressed twice", "the same page, one session")
            declined = pay_on_the_page(checkout["url"], steps.DECLINED_CARD)
            check(
                declined.status == HTTPStatus.PAYMENT_REQUIRED and b"declined" in declined.body,
                f"The page took a card that is declined: {declined.status}.",
            )
            say("card 4000…0002", f"declined ({declined.status}), the page says so")
            self.pay(checkout["url"])
            row = steps.wait_for_invoice(firm, invoice, lambda found: found["status"] == "paid")
            wait_for(
                "the second delivery",
                lambda: (
                    sum(
                        d["type"] == "checkout.session.completed"
                        for d in steps.deliveries_of(firm, checkout["checkout_session"])
                    )
                    > 1
                ),
            )
            say(
                "invoice",
                f"status {row['status']}, paid {money(row['amount_paid'])}, balance {money(row['balance_due'])}",
            )
        with self.step("Paid once, with one payment row"):
            rows = steps.payments_of(firm, invoice)
            check(len(rows) == 1, f"There are {len(rows)} payment rows.")
            (payment,) = rows
            check(Decimal(str(payment["amount"])) == Decimal("2522.23"), f"It says {payment['amount']}.")
            say(
                "payment",
                f"{payment['amount']} {payment['currency']}, {payment['brand']} …{payment['last4']}",
            )
            say("look", f"{firm.directus_url}/admin/content/payments/{payment['id']}")
            third = client.pay(firm.flow("pay_invoice"), invoice)
            check(third.error_code == "ALREADY_PAID", f"A third press answers {third.status} {third.body!r}")
            say("pressed again", f"{third.status} {third.error_code}")

    @contextmanager
    def delivered_twice(self) -> Iterator[None]:
        """Every webhook arrives twice meanwhile, and once again afterwards whatever happened."""
        self.deliver(duplicate=1)
        try:
            yield
        finally:
            self.deliver(duplicate=0)

    def deliver(self, *, duplicate: int) -> None:
        """Tell the simulator how many more times it shall deliver each webhook."""
        answer = self.firm.simulator("POST", "/_test/deliveries", {"duplicate": duplicate})
        check(answer.status == HTTPStatus.OK, f"The simulator refuses: {answer.status} {answer.body!r}")

    def press_pay(self, invoice: str, amount: str | None = None) -> dict[str, Any]:
        """The first client presses Pay; return what the flow answers."""
        started = self.firm.clients[0].pay(self.firm.flow("pay_invoice"), invoice, amount)
        check(started.status == HTTPStatus.OK, f"The Pay flow answers {started.status}: {started.body!r}")
        checkout: dict[str, Any] = started.json
        return checkout

    def pay(self, page: str) -> None:
        """Pay on Stripe's page with a card that succeeds."""
        paid = pay_on_the_page(page, steps.GOOD_CARD)
        check(paid.status == HTTPStatus.SEE_OTHER, f"Paying answers {paid.status}.")

    def pay_in_part(self) -> str:
        """A client pays a part of a second invoice."""
        firm = self.firm
        with self.step("A partial payment on a second invoice"):
            lines = [steps.fee("Drafting of articles of incorporation", "2.50", "400.00", "1000.00")]
            draft = self.draft(lines, tax_rate="0")
            steps.send_invoice(firm, firm.staff[0], draft["id"])
            self.pay(self.press_pay(draft["id"], "400.00")["url"])
            row = steps.wait_for_invoice(firm, draft["id"], lambda found: found["status"] == "partially_paid")
            check(
                Decimal(str(row["balance_due"])) == Decimal("600.00"), f"The balance is {row['balance_due']}."
            )
            say(
                "invoice",
                f"{row['invoice_number']}: paid {money(row['amount_paid'])} of {money(row['total'])}, "
                f"{money(row['balance_due'])} due",
            )
        return str(draft["id"])

    def refund(self, invoice: str) -> None:
        """The firm gives a part of the first payment back in Stripe's dashboard."""
        firm = self.firm
        with self.step("The firm refunds a part in Stripe's dashboard: the invoice follows"):
            (payment,) = steps.payments_of(firm, invoice)
            made = steps.refund(firm, payment, 52223)
            row = steps.wait_for_invoice(firm, invoice, lambda found: found["status"] == "partially_paid")
            check(money(row["balance_due"]) == Decimal("522.23"), f"The balance is {row['balance_due']}.")
            refunds = firm.administrator.list("refunds", {"payment": {"_eq": payment["id"]}})
            check(
                [found["stripe_refund"] for found in refunds] == [made["refund"]],
                f"{len(refunds)} rows stand for one refund.",
            )
            say(
                "refund",
                f"{money(refunds[0]['amount'])} {refunds[0]['currency']}, {refunds[0]['status']}, one row",
            )
            say("invoice", f"status {row['status']}, {money(row['balance_due'])} due again")

    def lose_the_webhooks(self, invoice: str) -> None:
        """The rest of the second invoice is paid while every webhook is lost: reconcile finds it."""
        firm = self.firm
        with self.step(
            "The rest is paid while every webhook is lost: the hourly reconcile finds and books it"
        ):
            with steps.webhooks_lost(firm):
                self.pay(self.press_pay(invoice)["url"])
            row = firm.administrator.read("invoices", invoice)
            check(row["status"] == "partially_paid", f"The invoice is {row['status']} without a webhook.")
            say("invoice", f"still {row['status']}: Stripe has the money, Directus does not know")
            answer = firm.invoke("reconcile", {})
            repaired = [found for found in answer["repaired"] if invoice in found.values()]
            missing = [found for found in repaired if found["kind"] == "payment_missing"]
            check(
                len(missing) == 1,
                f"Reconcile found {len(missing)} missing payments of this invoice: {repaired}",
            )
            say("reconcile", missing[0]["detail"])
            say("repaired", f"{len(repaired)} things: the payment and its events")
            row = steps.wait_for_invoice(firm, invoice, lambda found: found["status"] == "paid")
            say("invoice", f"status {row['status']}, balance {money(row['balance_due'])}")

    def remind(self) -> None:
        """A third invoice is overdue; its client gets one reminder."""
        firm = self.firm
        with self.step("A third invoice is overdue: the hourly run marks it and sends one reminder"):
            draft = self.draft(
                [steps.fee("Motion to dismiss: research and draft", "4.00", "380.00", "1520.00")],
                issue_date=(self.today - timedelta(days=40)).isoformat(),
                due_date=(self.today - timedelta(days=10)).isoformat(),
            )
            sent = steps.send_invoice(firm, firm.staff[0], draft["id"])
            check(sent["status"] == "overdue", f"The status is {sent['status']}.")
            answer = firm.invoke("reminders", {"as_of": self.today.isoformat()})
            say(
                "reminders",
                str({key: answer[key] for key in ("overdue_marked", "planned", "queued", "skipped")}),
            )
            number = draft["invoice_number"]
            (mail, *_) = wait_for("the reminder", lambda: self.mails_about(number))
            (self.output / f"reminder-{number}.txt").write_text(
                f"To: {', '.join(mail['to'])}\nSubject: {mail['subject']}\n\n{mail['text']}"
            )
            (self.output / f"reminder-{number}.html").write_text(mail["html"])
            say("mail", f"to {', '.join(mail['to'])}: {mail['subject']}")
            print("\n".join(f"       | {line}" for line in mail["text"].strip().splitlines()), flush=True)
            say("look", f"{firm.description['mail']['url']}/ and {self.output}/reminder-{number}.html")
            self.reminders_sent()
            once = len(self.mails_about(number))
            firm.invoke("reminders", {"as_of": self.today.isoformat()})
            self.reminders_sent()
            twice = len(self.mails_about(number))
            check(twice == once, f"A second run sent {twice - once} more mails about {number}.")
            notices = wait_for(
                "the notice",
                lambda: firm.administrator.list(
                    "notices", {"_and": [{"invoice": {"_eq": draft["id"]}}, {"status": {"_eq": "sent"}}]}
                ),
            )
            check(len(notices) == 1, f"{len(notices)} notices for one step.")
            say("a second run", "sent nothing: the step is claimed in notices")

    def reminders_sent(self) -> None:
        """Wait until nothing is left to send."""
        wait_for(
            "the reminders' queue to be empty", lambda: steps.is_empty(self.firm, "reminders"), seconds=120
        )

    def mails_about(self, number: str) -> list[dict[str, Any]]:
        """The caught mails that name an invoice."""
        return [mail for mail in self.firm.messages() if number in mail["subject"] + mail["text"]]

    def reconcile(self) -> None:
        """Stripe and Directus are compared; the demo's own invoices must agree."""
        with self.step("Stripe and Directus are compared"):
            answer = self.firm.invoke("reconcile", {})
            say("checked", str(answer["checked"]))
            for difference in answer["differences"]:
                say(difference["kind"], str(difference["detail"]))
            ours = [found for found in answer["differences"] if self.concerns_us(found)]
            check(not ours, f"Stripe and Directus do not agree about the demo's invoices: {ours}")
            others = len(answer["differences"])
            say("differences", f"{others}, none about the demo's {len(self.invoices)} invoices")

    def concerns_us(self, difference: dict[str, Any]) -> bool:
        """Whether a difference names one of the demo's invoices, payments or sessions."""
        rows = [row for invoice in self.invoices for row in steps.payments_of(self.firm, invoice)]
        sessions = [row["checkout_session"] for row in rows if row["checkout_session"]]
        known = {*self.invoices, *(row["id"] for row in rows), *sessions}
        text = json.dumps(difference)
        return any(identifier in text for identifier in known)


def say(what: str, value: str) -> None:
    """One line of what a step saw."""
    print(f"     {what + ':':<18}{value}", flush=True)


def money(value: object) -> Decimal:
    """An amount of Directus (a number on SQLite) with its two decimals."""
    return Decimal(str(value)).quantize(Decimal("0.01"))


def check(condition: bool, otherwise: str) -> None:  # noqa: FBT001  # reads as a sentence
    """Fail the demo with a sentence."""
    if not condition:
        raise Problem(otherwise)


EXPECTED = (Problem, AssertionError, HTTPError, BotoCoreError, ClientError, LookupError, ValueError, OSError)
"""Errors when a program of the stack is unavailable, answers oddly, or does not do what it should."""


def reason(error: BaseException) -> str:
    """One plain sentence about an error."""
    if isinstance(error, Problem | AssertionError) and str(error):
        return str(error)
    if isinstance(error, KeyError):
        return f"an answer has no {error}."
    return f"{type(error).__name__}: {error}"


def main() -> int:
    """Start the stack, run the demo, print where to look and how to stop."""
    print("Starting the local stack: no Docker, no accounts, everything on this machine.", flush=True)
    stack = Stack(DIRECTORY, say=lambda line: print(line, flush=True))
    output = DIRECTORY / "demo"
    demo = None
    try:
        stack.up()
        output.mkdir(parents=True, exist_ok=True)
        firm = Firm(stack.description())
        demo = Demo(firm, output)
        demo.run()
    except KeyboardInterrupt:
        running = "; the stack keeps running, stop it with make down" if stack.running() else ""
        print(f"\nThe demo was interrupted{running}.", file=sys.stderr)
        return 130
    except EXPECTED as error:
        where = demo.where if demo else "while the stack was started"
        print(f"\nThe demo stopped {where}: {reason(error)}", file=sys.stderr)
        return 1
    directus = firm.description["directus"]
    print("\nThe stack is running. Look around:")
    say("Directus", f"{directus['url']}/admin")
    say("staff", f"{directus['staff'][0]['email']}  {directus['staff'][0]['password']}")
    say("client", f"{directus['clients'][0]['email']}  {directus['clients'][0]['password']} (API only)")
    say("mail", f"{firm.description['mail']['url']}/")
    say("files", str(output))
    say("everything", f"{DIRECTORY}/stack.json, logs in {DIRECTORY}/logs")
    print("\nStop it with: make down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
