"""Everything that can happen to a firm, disturbed or not, and how it ends; who decides what happens is passed in."""

import itertools
import random
import uuid
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from billing.directus.client import DirectusClient
from tests.fakes.directus import FakeDirectus, FixedToken
from tests.fakes.steps import Steps
from tests.unit.payments.books import Auditor
from tests.unit.payments.office import Bill, Choose, Fault, Office, Row
from tests.unit.payments.people import People, text

#: A call of ours makes fewer calls to the outside than this.
MOST_STEPS = 22
#: The calls that change something, and those whose answers go out of date the soonest.
EFFECTS = (
    "create session", "retrieve session", "expire session", "POST payments", "PATCH payments", "PATCH invoices",
    "POST stripe_events", "PATCH stripe_events", "queue", "delete message", "SEARCH payments",
)  # fmt: skip
KINDS = ("crash", "outage", "meanwhile", "meanwhile")
#: Runs of reconcile until there is nothing left to repair, the one that finds so included.
MOST_RUNS = 3
#: A seed with which everything that can happen finds something to do (a test says so).
EVERYTHING = 184
#: How often a schedule comes back to what found nothing to do.
_PASSES = 6
RESTS = ("delivered", "undelivered", "gone")


#: What the invoice writer has left on an invoice that was sent.
_SENT = {
    "status": "sent", "sent_at": "2026-11-01T10:00:00+00:00", "pdf_status": "ready", "amount_paid": "0.00",
}  # fmt: skip


class Tables:
    """`Rows` of the fake Directus."""

    def __init__(self, directus: FakeDirectus) -> None:
        self._directus = directus

    def put(self, collection: str, **row: Any) -> str:
        return str(self._directus.put(collection, **row)["id"])

    def change(self, collection: str, key: str, **columns: Any) -> None:
        if collection == "invoices" and columns.get("status") == "void" and self._directus.now is not None:
            columns["voided_at"] = self._directus.now().isoformat()  # as the guard does
        table = self._directus.table(collection)
        table[key] = {**table[key], **columns}

    def all(self, collection: str) -> dict[str, Row]:
        return self._directus.table(collection)


def office_in_memory() -> Office:
    """A firm on the fakes."""
    steps = Steps()
    directus = FakeDirectus(steps, new_key=keys("row"))
    client = DirectusClient("http://directus", FixedToken(), directus.http, sleep=lambda _: None)
    office = Office(Tables(directus), client, steps, new_id=keys("attempt"), terms=1)
    directus.firm = {**directus.firm, "payment_terms_days": office.terms}
    directus.now = office.now
    for number in (1, 2):
        owner, user = (f"{kind}{number}000000-0000-4000-8000-00000000000{number}" for kind in ("c", "d"))
        directus.put("clients", id=owner, name=f"Client {number}", timezone="America/New_York")
        directus.table("directus_users")[user] = {"id": user, "client": owner, "status": "active"}
        add_bills(office, number, owner, user)
    return office


def add_bills(office: Office, number: int, client: str, user: str) -> None:
    """The first client has two invoices that were sent, the second a draft in euros."""
    if number == 1:
        add_sent_bill(office, client, user)
        due = Bill(office.new_id(), client, user, "USD", 8875, date(2026, 11, 21))
        add_bill(office, due, [20005], {**_SENT, "due_date": "2026-11-21"}, **_totals(20005, 1775))
    else:
        draft = Bill(office.new_id(), client, user, "EUR", state="draft", undated=True)
        add_bill(office, draft, [8000], {"status": "draft", "pdf_status": "none"})


def add_sent_bill(office: Office, client: str, user: str) -> None:
    """One more invoice over 150.00."""
    bill = Bill(office.new_id(), client, user, "USD")
    add_bill(office, bill, [10000, 5000], _SENT, **_totals(15000, 0))


def add_bill(office: Office, bill: Bill, lines: Sequence[int], columns: Row, **amounts: int) -> None:
    """An invoice as the invoice writer left it, or as a draft that has not met it."""
    office.rows.put(
        "invoices",
        id=bill.id,
        client=bill.client,
        invoice_number=f"S-{bill.id[:8]}",
        currency=bill.currency,
        tax_rate=f"{bill.tax_thousandths / 1000:.3f}",
        **{name: text(minor) for name, minor in amounts.items()},
        **columns,
    )
    for minor in lines:
        key = office.rows.put(
            "line_items", invoice=bill.id, kind="fee", description="Legal advice", amount=text(minor)
        )
        bill.lines[key] = minor
    office.bills[bill.id] = bill
    if bill.state == "sent":
        office.document(bill.id)


def _totals(subtotal: int, tax: int) -> dict[str, int]:
    return {"subtotal": subtotal, "tax": tax, "total": subtotal + tax, "balance_due": subtotal + tax}


def keys(what: str) -> Callable[[], str]:
    """Keys that are the same in every run, in no order that anything could lean on."""
    numbers = itertools.count()
    return lambda: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{what} {next(numbers)}"))


class Play:
    """One firm, the people around it, and its auditor.

    `rest` is what becomes of events that were not delivered by the end: `delivered`, `undelivered`, or `gone` and
    nobody knows of it.
    """

    def __init__(self, office: Office, rest: str = "delivered") -> None:
        self.office = office
        self.people = People(office)
        self.auditor = Auditor(office)
        self.rest = rest

    # ---- our functions, disturbed -----------------------------------------------------------------------

    def press_pay(self, choose: Choose, fault: Fault | None, bill: Bill | None = None) -> None:
        quiet = fault is None or fault.kind != "meanwhile"
        people = self.people
        likely = [
            self._another_press,
            people.pay_by_card,
            people.debit_begins,
            people.session_expires,
            people.discount,
            people.void,
            self.work,
        ]
        self._during(fault, choose, lambda: people.press_pay(choose, quiet=quiet, bill=bill), likely)

    def press_pay_twice(self, choose: Choose, fault: Fault | None) -> None:
        """The same client, the same invoice, perhaps another amount; the second time is disturbed."""
        bill = self.people.bill(choose)
        self.people.press_pay(choose, bill=bill)
        self.press_pay(choose, fault, bill)

    def take_message(self, choose: Choose, fault: Fault | None) -> None:
        self._during(fault, choose, lambda: self.work(choose))

    def take_event(self, choose: Choose, fault: Fault | None) -> None:
        with self.office.disturbed(fault):
            self.people.deliver(choose)

    def reconcile(self, choose: Choose, fault: Fault | None) -> None:
        self._during(fault, choose, self.office.reconcile)

    def _during(
        self,
        fault: Fault | None,
        choose: Choose,
        act: Callable[[], object],
        likely: Sequence[Callable[[Choose], None]] = (),
    ) -> None:
        def meanwhile() -> None:
            others = choose([likely, self._interruptions()], "meanwhile") if likely else self._interruptions()
            choose(others, "happens")(choose)

        self.office.meanwhile = meanwhile
        with self.office.disturbed(fault):
            act()

    def _interruptions(self) -> list[Callable[[Choose], None]]:
        people = self.people
        return [
            self._another_press,
            self.work,
            people.deliver,
            people.pay_by_card,
            people.debit_begins,
            people.session_expires,
            people.discount,
            people.object_to,
            people.cancel_attempt,
            people.enter_payment,
            people.refund,
            people.dispute_changes,
            people.assign,
            people.void,
            people.send_draft,
            people.write_sent_again,
            people.edit_payment,
            people.enter_refund,
            people.edit_refund,
            people.withdraw,
            people.debit_ends,
            people.pay_quietly,
            people.time_passes,
        ]

    def _another_press(self, choose: Choose) -> None:
        self.people.press_pay(choose, quiet=False)

    def work(self, choose: Choose) -> None:
        if groups := self.office.groups():
            self.office.work(choose(groups, "group"))

    def finish(self) -> None:
        """All becomes quiet: what is on its way arrives or is lost, and reconcile runs until it repairs nothing."""
        self._stripe_tells()
        self.office.drain()
        self.office.passes(minutes=20)  # what is younger may still be on its way
        repaired: list[Any] = []
        for _ in range(MOST_RUNS):
            report = self.office.reconcile()
            assert report is not None
            self.office.drain()
            self._stripe_tells()
            self.office.drain()
            if not report.repaired:
                return
            repaired.append(report.repaired)
        message = f"reconcile never stops repairing: {repaired}"
        raise AssertionError(message)

    def _stripe_tells(self) -> None:
        """Stripe delivers the rest, or cannot and says so, or believes that it has."""
        for event in self.people.undelivered():
            match self.rest:
                case "delivered":
                    self.office.receive(event)
                case "gone":
                    self.office.stripe.delivered.add(event.event)


class Schedule:
    """A play whose happenings a random number generator chooses: the same seed, the same schedule.

    `look_every`: after so many happenings the auditor looks at what must always hold.
    """

    def __init__(self, play: Play, seed: int, *, look_every: int = 1) -> None:
        self.play = play
        self._look_every, self._until_look = look_every, look_every
        self.happened: list[str] = []
        #: What found something to do.
        self.effective: set[Callable[[Choose], None]] = set()
        self._random = random.Random(seed)  # noqa: S311  # nothing secret: it decides what happens next
        people = play.people
        #: Everything that can happen, and how often beside the others.
        self.happenings: dict[Callable[[Choose], None], int] = {
            self._press: 2, self._press_twice: 2, self._take_message: 4, self._take_event: 3, people.pay_quietly: 2,
            people.pay_by_card: 2, people.pay_something_else: 1, people.card_declined: 1, people.debit_begins: 1,
            people.debit_ends: 1, people.session_expires: 1, people.stray_session: 1, people.refund: 1,
            people.refund_changes: 1, people.dispute: 1, people.dispute_changes: 1, people.fee_becomes_known: 1,
            people.object_to: 1, people.withdraw: 1, people.discount: 1, people.send_draft: 1,
            people.write_sent_again: 1, people.void: 1, people.cancel_attempt: 1, people.enter_payment: 1,
            people.edit_payment: 1, people.enter_refund: 1, people.edit_refund: 1, people.assign: 1,
            self._reconcile: 1, people.flow_arrives_late: 1, people.time_passes: 1, people.press_pay_as_another: 1,
        }  # fmt: skip

    def choose[Option](self, options: Sequence[Option], what: str) -> Option:
        chosen = self._random.choice(list(options))
        self.happened.append(f"    {what}: {getattr(chosen, 'id', chosen)}")
        return chosen

    def run(self, happenings: Sequence[Callable[[Choose], None]]) -> None:
        """These in the order that the seed gives them, what found nothing to do once more; then the end, and the audit.

        Each time there is a new invoice, and clients pay and press Pay first, so that there is something to do.
        """
        office, people = self.play.office, self.play.people
        first = next(iter(office.bills.values()))
        left = list(happenings)
        for _ in range(_PASSES):
            add_sent_bill(office, first.client, first.user)
            for happening in [
                people.pay_quietly, people.press_pay, people.pay_something_else, people.press_pay,
                *self._random.sample(left, len(left)),
            ]:  # fmt: skip
                self._happens(happening)
            left = [happening for happening in self.happenings if happening not in self.effective]
            if not left:
                break
        self.play.finish()
        self.play.auditor.audit()

    def _happens(self, happening: Callable[[Choose], None]) -> None:
        before = len(self.happened)
        happening(self.choose)
        if len(self.happened) > before or happening == self._reconcile:
            self.effective.add(happening)
        self.happened.insert(before, happening.__name__)
        self._until_look -= 1
        if not self._until_look:
            self._until_look = self._look_every
            self.play.auditor.always()

    def idle(self) -> set[str]:
        """What never found anything to do."""
        return {happening.__name__ for happening in self.happenings.keys() - self.effective}

    def everything(self, rounds: int) -> list[Callable[[Choose], None]]:
        """Everything that can happen, each as often as it is listed with, so many times."""
        return [each for each, times in self.happenings.items() for _ in range(times * rounds)]

    def _press(self, choose: Choose) -> None:
        self.play.press_pay(choose, self._fault())

    def _press_twice(self, choose: Choose) -> None:
        self.play.press_pay_twice(choose, self._fault())

    def _take_message(self, choose: Choose) -> None:
        self.play.take_message(choose, self._fault())

    def _take_event(self, choose: Choose) -> None:
        fault = self._fault()
        self.play.take_event(choose, fault if fault is not None and fault.kind != "meanwhile" else None)

    def _reconcile(self, choose: Choose) -> None:
        self.play.reconcile(choose, self._fault())

    def _fault(self) -> Fault | None:
        if self._random.random() < 1 / 2:
            return None
        kind = self._random.choice(KINDS)
        step, after = self._random.choice([*EFFECTS, *range(MOST_STEPS)]), self._random.random() < 1 / 2
        return Fault(kind, step, after, self._random.choice([1, 4]))
