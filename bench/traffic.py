"""Payments of many kinds through the deployed stack, as clients, banks, cardholders and staff make them.

The invoices are made in bulk by the administrator, behind the flows: they stand as the invoice writer leaves them, sent
and with a document. Everything from there on is the product's own path: POST /checkout, Stripe's page, webhooks.
"""

from __future__ import annotations

import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from bench.stripe_side import Outage, Patience, StripeSide, answered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from local.demo.people import Person
    from local.demo.steps import Firm

BATCH: Final = 100
"""Invoices a request: Directus takes a thousand rows and one megabyte."""

DECIMALS: Final = {"USD": 2, "EUR": 2, "JPY": 0}


class Kind(StrEnum):
    """What becomes of a payment."""

    CARD = "card"
    PART_BY_CARD = "card, half of the invoice"
    DECLINED_FIRST = "card, declined first"
    BANK_DEBIT = "bank debit"
    BANK_DEBIT_FAILED = "bank debit that fails"
    REFUNDED = "card, refunded whole"
    REFUNDED_TWICE = "card, two partial refunds"
    BANK_DEBIT_REFUNDED = "bank debit, refunded in part"
    DISPUTE_LOST = "card, dispute lost"
    DISPUTE_WON = "card, dispute won"
    DISPUTE_OPEN = "card, dispute open"
    WIRE = "wire entered by staff"


MIX: Final[Mapping[Kind, int]] = {
    Kind.CARD: 9,
    Kind.PART_BY_CARD: 2,
    Kind.DECLINED_FIRST: 1,
    Kind.BANK_DEBIT: 2,
    Kind.BANK_DEBIT_FAILED: 1,
    Kind.REFUNDED: 1,
    Kind.REFUNDED_TWICE: 1,
    Kind.BANK_DEBIT_REFUNDED: 1,
    Kind.DISPUTE_LOST: 1,
    Kind.DISPUTE_WON: 1,
}
"""How many of twenty payments: more trouble than any firm has."""

_DEBITS: Final = {Kind.BANK_DEBIT, Kind.BANK_DEBIT_FAILED, Kind.BANK_DEBIT_REFUNDED}
_DISPUTES: Final = {Kind.DISPUTE_LOST: "lost", Kind.DISPUTE_WON: "won", Kind.DISPUTE_OPEN: "open"}


@dataclass(frozen=True)
class Plan:
    """One payment to be made: `total` of its invoice in minor units of `currency`, by portal user `client`."""

    number: int
    kind: Kind
    currency: str
    total: int
    client: int

    @property
    def paid(self) -> int:
        """What the client pays, in minor units."""
        return self.total // 2 if self.kind is Kind.PART_BY_CARD else self.total

    def decimal(self, minor: int) -> str:
        """An amount as Directus writes it."""
        return f"{minor}.00" if DECIMALS[self.currency] == 0 else f"{minor // 100}.{minor % 100:02d}"

    def asked(self, minor: int) -> str:
        """An amount as a person types it."""
        return self.decimal(minor) if DECIMALS[self.currency] else str(minor)


def plans(count: int, seed: int, *, mix: Mapping[Kind, int] = MIX, clients: int = 3) -> list[Plan]:
    """Return `count` payments in a fixed order; the kinds come as often as `mix` says, all of them early."""
    chooser = random.Random(seed)  # noqa: S311  # the same traffic in every run, not a secret
    round_of_kinds = [kind for kind, times in mix.items() for _ in range(times)]
    each_once = list(mix)
    kinds = [*each_once, *(round_of_kinds * (count // len(round_of_kinds) + 1))]
    return [_plan(number, kinds[number], chooser, clients) for number in range(count)]


def _plan(number: int, kind: Kind, chooser: random.Random, clients: int) -> Plan:
    # Bank debits are in dollars only; half of the rest, too.
    currency = "USD" if kind in _DEBITS else chooser.choice(["USD", "USD", "EUR", "JPY"])
    return Plan(number, kind, currency, chooser.randrange(1_000, 900_000), number % clients)


@dataclass
class Traffic:
    """The payments of one run; `invoices` by plan number, `sessions` as they were opened."""

    firm: Firm
    plans: Sequence[Plan]
    patience: Patience = field(default_factory=Patience)
    invoices: dict[int, str] = field(default_factory=dict)
    sessions: dict[int, str] = field(default_factory=dict)
    #: What staff entered: the firm's reference -> invoice and amount.
    wires: dict[str, tuple[str, str]] = field(default_factory=dict)
    finished: int = 0
    steps: int = 0
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: Messages that had been given up before; a stack may have served others.
    dead_letters_before: int = 0

    def __post_init__(self) -> None:
        self.stripe = StripeSide(self.firm.description["stripe"], self.patience)
        self.dead_letters_before = dead_letters(self.firm)
        self._mark = uuid.uuid4().hex[:8]

    # ---- invoices ---------------------------------------------------------------------------------------

    def write_invoices(self) -> None:
        """Write all invoices as the invoice writer leaves a sent one, without a flow being told.

        All show one PDF of the seed data: none is drawn for them, neither now nor by reconcile.
        """
        drawn = {"type": {"_eq": "invoice"}, "file": {"_nnull": True}}
        some_pdf = rows_of(self.firm.administrator, "documents", drawn, "file")[0]
        with without_flows(self.firm):
            for start in range(0, len(self.plans), BATCH):
                batch = self.plans[start : start + BATCH]
                written = self.firm.administrator.ask(
                    "POST", "/items/invoices", [self._invoice(plan, some_pdf["file"]) for plan in batch]
                )
                # Directus gives the rows back in an order of its own.
                self.invoices |= {int(row["invoice_number"][-5:]): str(row["id"]) for row in written.data}

    def _invoice(self, plan: Plan, file: str) -> dict[str, Any]:
        now = datetime.now(UTC)
        total, client = plan.decimal(plan.total), self.firm.client_of(plan.client)
        return {
            "invoice_number": f"B-{self._mark}-{plan.number:05d}",
            "client": client,
            "currency": plan.currency,
            "status": "sent",
            "issue_date": now.date().isoformat(),
            "due_date": (now.date() + timedelta(days=30)).isoformat(),
            "sent_at": now.isoformat(timespec="seconds"),
            "subtotal": total,
            "tax_rate": "0",
            "tax": "0.00",
            "total": total,
            "amount_paid": "0.00",
            "balance_due": total,
            "pdf_status": "ready",
            "line_items": [{"kind": "fee", "description": "Advice", "amount": total}],
            "documents": [{"type": "invoice", "client": client, "file": file, "version": 1}],
        }

    # ---- payments ---------------------------------------------------------------------------------------

    def run(self, threads: int) -> None:
        """Carry out every plan, `threads` at a time."""
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(self.carry_out, plan) for plan in self.plans]:
                done.result()

    def carry_out(self, plan: Plan) -> None:
        """One payment from the button to its end."""
        if plan.kind is Kind.WIRE:
            self._step(lambda: self._enter_wire(plan))
        else:
            self._pay_at_stripe(plan)
        self.finished += 1

    def _pay_at_stripe(self, plan: Plan) -> None:
        session = self._step(lambda: self._checkout(plan))
        if plan.kind is Kind.DECLINED_FIRST:
            self._step(lambda: self.stripe.decline(session))
        method = "us_bank_account" if plan.kind in _DEBITS else "card"
        fails = plan.kind is Kind.BANK_DEBIT_FAILED
        self._step(lambda: self.stripe.pay(session, method=method, outcome="fail" if fails else "succeed"))
        if plan.kind in _DEBITS:
            self._step(lambda: self.stripe.settle(session, outcome="fail" if fails else "succeed"))
        for number, amount in enumerate(_refunds(plan)):
            key = f"{self._mark}-{plan.number}-{number}"
            self._step(lambda amount=amount, key=key: self.stripe.refund(session, amount, key))  # type: ignore[misc]  # bound now
        if plan.kind in _DISPUTES:
            self._step(lambda: self.stripe.dispute(session, outcome=_DISPUTES[plan.kind]))

    def _step[Value](self, action: Callable[[], Value]) -> Value:
        self.steps += 1
        return action()

    def _checkout(self, plan: Plan) -> str:
        """Press Pay until there is a session."""
        user = self.firm.description["directus"]["clients"][plan.client]["user"]
        body = {"invoice": self.invoices[plan.number], "user": user}
        if plan.paid != plan.total:
            body["amount"] = plan.asked(plan.paid)

        def step() -> str:
            answer = answered(self.firm.function("/checkout", body))
            assert answer.status == HTTPStatus.OK, f"/checkout: {answer.status} {answer.body[:400]!r}"
            return str(answer.json["checkout_session"])

        self.sessions[plan.number] = self.patience.persistently(f"a session for {body}", step)
        return self.sessions[plan.number]

    def _enter_wire(self, plan: Plan) -> None:
        """Staff records a wire; after a lost answer they look whether it is there, as a person would."""
        invoice, amount = self.invoices[plan.number], plan.decimal(plan.total)
        reference = f"W-{self._mark}-{plan.number:05d}"
        row = {
            "invoice": invoice,
            "client": self.firm.client_of(plan.client),
            "amount": amount,
            "currency": plan.currency,
            "method": "wire",
            "status": "succeeded",
            "payment_date": datetime.now(UTC).date().isoformat(),
            "reference": reference,
        }
        administrator = self.firm.administrator

        def step() -> None:
            if not rows_of(administrator, "payments", {"reference": {"_eq": reference}}, "id"):
                answer = answered(administrator.ask("POST", "/items/payments", row))
                assert answer.status == HTTPStatus.OK, f"a wire: {answer.status} {answer.body[:400]!r}"

        self.patience.persistently(f"wire {reference}", step)
        self.wires[reference] = (invoice, amount)


def _refunds(plan: Plan) -> list[int]:
    match plan.kind:
        case Kind.REFUNDED:
            return [plan.paid]
        case Kind.REFUNDED_TWICE:
            return [plan.paid // 3, plan.paid // 4]
        case Kind.BANK_DEBIT_REFUNDED:
            return [plan.paid // 5]
        case _:
            return []


def steps_of(plan: Plan) -> int:
    """How many steps the payment takes."""
    if plan.kind is Kind.WIRE:
        return 1
    extra = (plan.kind is Kind.DECLINED_FIRST) + (plan.kind in _DEBITS) + (plan.kind in _DISPUTES)
    return 2 + extra + len(_refunds(plan))


def dead_letters(firm: Firm) -> int:
    """How many messages of invoice work were given up."""
    url = firm.description["aws"]["queues"]["stripe_events_dlq"]
    name = "ApproximateNumberOfMessages"
    answer = firm.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    return int(answer["Attributes"][name])


def rows_of(
    person: Person, collection: str, condition: dict[str, Any], fields: str = "*"
) -> list[dict[str, Any]]:
    """Every row of a collection that fits; `Outage` if Directus cannot say now."""
    body = {"query": {"filter": condition, "fields": fields.split(","), "limit": -1}}
    rows: list[dict[str, Any]] = answered(person.ask("SEARCH", f"/items/{collection}", body)).data
    return rows


@contextmanager
def without_flows(firm: Firm) -> Iterator[None]:
    """Keep Directus's flows from telling the functions of invoices that are made in bulk."""
    names = ("invoice_sent", "billing_changed")
    try:
        for name in names:
            _set_flow(firm, name, "inactive")
        yield
    finally:
        for name in names:
            _set_flow(firm, name, "active")


def _set_flow(firm: Firm, name: str, status: str) -> None:
    answer = firm.administrator.ask("PATCH", f"/flows/{firm.flow(name)}", {"status": status})
    if answer.status != HTTPStatus.OK:
        raise Outage(f"flow {name}: {answer.status}")
