"""An auditor who knows none of our code: Directus says what Stripe says, to the cent, once and not twice.

What must be in Directus is worked out from Stripe's own objects (and from what staff entered) in integers of minor
units, then every row of the invoices concerned is held to it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bench.traffic import DECIMALS, dead_letters, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench.stripe_side import StripeSide
    from bench.traffic import Plan, Traffic
    from local.demo.people import Person

_ENDED_EVENTS: Final = ("done", "ignored")
_NAMED: Final = 20

type Fact = tuple[str, ...]


@dataclass
class Findings:
    """What the auditor found; sentences that name the objects."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    #: What was compared and how many of each.
    compared: dict[str, int] = field(default_factory=dict)
    #: By currency: what Stripe has kept for the firm, and what the invoices say of it.
    money: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)

    @property
    def all_is_well(self) -> bool:
        """Whether there is nothing to name."""
        return not (self.lost or self.doubled or self.different)

    def sentences(self) -> list[str]:
        """Name what was found, the first of each sort."""
        return [
            f"{sort}: {sentence}"
            for sort, found in (
                ("lost", self.lost),
                ("doubled", self.doubled),
                ("different", self.different),
            )
            for sentence in found[:_NAMED]
        ]

    def compare(self, what: str, expected: Mapping[str, Fact], found: Iterable[tuple[str, Fact]]) -> None:
        """Hold rows to facts: each fact is exactly one row, and there is no other row."""
        rows: defaultdict[str, list[Fact]] = defaultdict(list)
        for key, fact in found:
            rows[key].append(fact)
        self.compared[what] = len(expected)
        for key, fact in expected.items():
            mine = rows.pop(key, [])
            if not mine:
                self.lost.append(f"{what} {key} {fact}")
            elif len(mine) > 1:
                self.doubled.append(f"{what} {key} {mine}")
            elif mine[0] != fact:
                self.different.append(f"{what} {key}: must be {fact}, is {mine[0]}")
        self.doubled += [f"{what} {key} {fact} is nobody's" for key, facts in rows.items() for fact in facts]


@dataclass(frozen=True)
class AtStripe:
    """Everything of these invoices at Stripe, by id; `sessions` are those that somebody completed."""

    sessions: Mapping[str, dict[str, Any]]
    open_sessions: frozenset[str]
    intents: Mapping[str, dict[str, Any]]
    refunds: Mapping[str, dict[str, Any]]
    disputes: Mapping[str, dict[str, Any]]


def audit(traffic: Traffic) -> Findings:
    """Compare everything of the traffic's invoices."""
    findings = Findings()
    invoices = set(traffic.invoices.values())
    stripe = at_stripe(traffic.stripe, invoices)
    administrator = traffic.firm.administrator
    payments = [row for row in rows_of(administrator, "payments", {}) if _concerns(row, invoices, stripe)]
    _payments(findings, stripe, payments)
    _wires(findings, traffic, payments)
    _reversals(findings, stripe, administrator, payments)
    _invoices(findings, traffic, stripe, administrator)
    _claims(findings, stripe, payments)
    _events(findings, traffic)
    return findings


def at_stripe(side: StripeSide, invoices: set[str]) -> AtStripe:
    """Read Stripe's lists and keep what concerns the invoices."""
    ours = {
        session["id"]: session
        for session in side.listed("checkout/sessions")
        if session["metadata"].get("directus_invoice") in invoices
    }
    completed = {key: session for key, session in ours.items() if session["status"] == "complete"}
    wanted = {session["payment_intent"] for session in completed.values()}
    return AtStripe(
        sessions=completed,
        open_sessions=frozenset(key for key, session in ours.items() if session["status"] == "open"),
        intents={found["id"]: found for found in side.listed("payment_intents") if found["id"] in wanted},
        refunds={found["id"]: found for found in side.listed("refunds") if found["payment_intent"] in wanted},
        disputes={
            found["id"]: found for found in side.listed("disputes") if found["payment_intent"] in wanted
        },
    )


# ---- each sort of row ---------------------------------------------------------------------------------------


def _concerns(row: dict[str, Any], invoices: set[str], stripe: AtStripe) -> bool:
    by_invoice = row["invoice"] in invoices
    return by_invoice or row["checkout_session"] in stripe.sessions or row["transaction_id"] in stripe.intents


def _payments(findings: Findings, stripe: AtStripe, rows: list[dict[str, Any]]) -> None:
    session_of = {session["payment_intent"]: key for key, session in stripe.sessions.items()}
    expected: dict[str, Fact] = {}
    for key, session in stripe.sessions.items():
        intent = stripe.intents[session["payment_intent"]]
        status = {"succeeded": "succeeded", "processing": "processing"}.get(intent["status"], "failed")
        minor = intent["amount_received"] if status == "succeeded" else session["amount_total"]
        expected[key] = (
            session["metadata"]["directus_invoice"],
            intent["id"] if status == "succeeded" else "-",
            _written(minor, intent["currency"]),
            intent["currency"].upper(),
            status,
        )
    found = [
        (
            row["checkout_session"] or session_of.get(row["transaction_id"]) or row["id"],
            (
                str(row["invoice"]),
                str(row["transaction_id"]) if row["status"] == "succeeded" else "-",
                _money(row["amount"]),
                row["currency"],
                row["status"],
            ),
        )
        for row in rows
        if row["reference"] is None and row["status"] not in {"pending", "canceled"}
    ]
    findings.compare("payment", expected, found)


def _wires(findings: Findings, traffic: Traffic, rows: list[dict[str, Any]]) -> None:
    found = [
        (row["reference"], (str(row["invoice"]), _money(row["amount"]), row["status"]))
        for row in rows
        if row["reference"] is not None
    ]
    expected = {key: (invoice, amount, "succeeded") for key, (invoice, amount) in traffic.wires.items()}
    findings.compare("wire", expected, found)


def _reversals(
    findings: Findings, stripe: AtStripe, administrator: Person, payments: list[dict[str, Any]]
) -> None:
    transaction = {row["id"]: row["transaction_id"] for row in payments}
    for what, objects, collection, column in (
        ("refund", stripe.refunds, "refunds", "stripe_refund"),
        ("dispute", stripe.disputes, "payment_disputes", "stripe_dispute"),
    ):
        rows = [row for row in rows_of(administrator, collection, {}) if row["payment"] in transaction]
        found = [
            (
                row[column] or row["id"],
                (
                    str(transaction[row["payment"]]),
                    _money(row["amount"]),
                    row["currency"],
                    row["status"],
                ),
            )
            for row in rows
        ]
        expected = {
            key: (
                one["payment_intent"],
                _written(one["amount"], one["currency"]),
                one["currency"].upper(),
                one["status"],
            )
            for key, one in objects.items()
        }
        findings.compare(what, expected, found)


def _invoices(findings: Findings, traffic: Traffic, stripe: AtStripe, administrator: Person) -> None:
    paid = paid_by_invoice(traffic.plans, traffic.invoices, traffic.wires, stripe)
    plans = {traffic.invoices[plan.number]: plan for plan in traffic.plans}
    rows = [row for row in rows_of(administrator, "invoices", {}) if row["id"] in plans]
    expected: dict[str, Fact] = {}
    for invoice, plan in plans.items():
        balance = plan.total - paid[invoice]
        status = "paid" if balance <= 0 else "partially_paid" if paid[invoice] > 0 else "sent"
        amounts = (plan.total, paid[invoice], balance)
        expected[invoice] = (*(_written(minor, plan.currency) for minor in amounts), status)
    found = [
        (row["id"], (*(_money(row[name]) for name in ("total", "amount_paid", "balance_due")), row["status"]))
        for row in rows
    ]
    findings.compare("invoice", expected, found)
    for currency in sorted({plan.currency for plan in plans.values()}):
        mine = {invoice for invoice, plan in plans.items() if plan.currency == currency}
        kept = sum(paid[invoice] for invoice in mine)
        said = sum((Decimal(_money(row["amount_paid"])) for row in rows if row["id"] in mine), Decimal(0))
        findings.money[currency] = (Decimal(_written(kept, currency)), said)


def paid_by_invoice(
    plans: Iterable[Plan],
    invoices: Mapping[int, str],
    wires: Mapping[str, tuple[str, str]],
    stripe: AtStripe,
) -> dict[str, int]:
    """What each invoice was paid, by Stripe's objects and what staff entered, in minor units.

    `invoices` by plan number; `wires`: invoice and amount by the firm's reference.
    """
    taken: defaultdict[str, int] = defaultdict(int)
    for refund in stripe.refunds.values():
        if refund["status"] not in {"failed", "canceled"}:
            taken[refund["payment_intent"]] += refund["amount"]
    for dispute in stripe.disputes.values():
        if dispute["status"] == "lost":
            taken[dispute["payment_intent"]] += dispute["amount"]
    paid: defaultdict[str, int] = defaultdict(int)
    for session in stripe.sessions.values():
        intent = stripe.intents[session["payment_intent"]]
        if intent["status"] == "succeeded":
            left = max(0, intent["amount_received"] - taken[intent["id"]])
            paid[session["metadata"]["directus_invoice"]] += left
    for plan in plans:
        invoice = invoices[plan.number]
        entered = [amount for at, amount in wires.values() if at == invoice]
        paid[invoice] += sum(int(Decimal(amount).scaleb(DECIMALS[plan.currency])) for amount in entered)
    return paid


def _claims(findings: Findings, stripe: AtStripe, rows: list[dict[str, Any]]) -> None:
    """A claim is held only by what can still be paid or is with the bank."""
    processing = {
        key
        for key, session in stripe.sessions.items()
        if stripe.intents[session["payment_intent"]]["status"] == "processing"
    }
    for row in rows:
        if row["open_claim"] and row["checkout_session"] not in stripe.open_sessions | processing:
            findings.different.append(f"payment {row['id']} holds a claim that nobody can pay any more")


def _events(findings: Findings, traffic: Traffic) -> None:
    """Every event that arrived meanwhile has ended well, and no message was given up."""
    meanwhile = {"received_at": {"_gte": traffic.began.isoformat(timespec="seconds")}}
    rows = rows_of(traffic.firm.administrator, "stripe_events", meanwhile, "id,type,status,error")
    findings.compared["event row"] = len(rows)
    findings.different += [
        f"event {row['id']} ({row['type']}) is {row['status']}: {row['error']}"
        for row in rows
        if row["status"] not in _ENDED_EVENTS
    ]
    given_up = dead_letters(traffic.firm) - traffic.dead_letters_before
    if given_up > 0:
        findings.different.append(f"{given_up} messages were given up")


def _written(minor: int, currency: str) -> str:
    return f"{Decimal(minor).scaleb(-DECIMALS[currency.upper()]):.2f}"


def _money(value: Any) -> str:
    """Directus gives money as a number on SQLite and as text on PostgreSQL."""
    return f"{Decimal(str(value)):.2f}"
