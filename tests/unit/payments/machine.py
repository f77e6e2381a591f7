"""The state machine: Hypothesis decides what happens, in which order, and what goes wrong in the middle of it."""

import itertools
import uuid
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.fakes.directus import FakeDirectus
from tests.unit.fakes.steps import Steps
from tests.unit.payments.books import Auditor
from tests.unit.payments.office import Bill, Choose, Fault, Office, Row
from tests.unit.payments.people import People, text

#: A call of ours makes fewer calls to the outside than this.
_STEPS = 22
FAULTS = st.none() | st.builds(
    Fault,
    st.sampled_from(["crash", "outage", "meanwhile"]),
    step=st.integers(0, _STEPS),
    after=st.booleans(),
    calls=st.sampled_from([1, 4]),
)
OUTAGES = st.none() | st.builds(
    Fault, st.sampled_from(["crash", "outage"]), step=st.just(0), after=st.booleans()
)


class Tables:
    """`Rows` of the fake Directus."""

    def __init__(self, directus: FakeDirectus) -> None:
        self._directus = directus

    def put(self, collection: str, **row: Any) -> str:
        return str(self._directus.put(collection, **row)["id"])

    def change(self, collection: str, key: str, **columns: Any) -> None:
        table = self._directus.table(collection)
        table[key] = {**table[key], **columns}

    def all(self, collection: str) -> dict[str, Row]:
        return self._directus.table(collection)


def office_in_memory() -> Office:
    """A firm on the fakes."""
    steps = Steps()
    directus = FakeDirectus(steps, new_key=keys("row"))
    office = Office(Tables(directus), directus, steps, new_id=keys("attempt"))
    directus.now = office.now
    for number in (1, 2):
        client, user = (f"{kind}{number}000000-0000-4000-8000-00000000000{number}" for kind in ("c", "d"))
        directus.put("clients", id=client, name=f"Client {number}", timezone="America/New_York")
        directus.table("directus_users")[user] = {"id": user, "client": client, "status": "active"}
        add_bills(office, number, client, user)
    return office


def add_bills(office: Office, number: int, client: str, user: str) -> None:
    """The first client has two invoices that were sent, the second a draft in euros."""
    if number == 1:
        sent = {
            "status": "sent", "sent_at": "2026-11-01T10:00:00+00:00", "pdf_status": "ready", "amount_paid": "0.00",
        }  # fmt: skip
        add_bill(office, Bill(office.new_id(), client, user, "USD"), [10000, 5000], sent, 15000, 0)
        due = Bill(office.new_id(), client, user, "USD", 8875, date(2026, 11, 21))
        add_bill(office, due, [20005], {**sent, "due_date": "2026-11-21"}, 20005, 1775)
    else:
        draft = Bill(office.new_id(), client, user, "EUR", state="draft")
        add_bill(office, draft, [8000], {"status": "draft", "pdf_status": "none"}, None, None)


def add_bill(
    office: Office,
    bill: Bill,
    lines: Sequence[int],
    columns: Row,
    subtotal: int | None,
    tax: int | None,
) -> None:
    """An invoice as the one writer left it, or as a draft that has not met it."""
    total = None if subtotal is None or tax is None else subtotal + tax
    amounts = {"subtotal": subtotal, "tax": tax, "total": total}
    if total is not None:
        amounts["balance_due"] = total
    office.rows.put(
        "invoices",
        id=bill.id,
        client=bill.client,
        invoice_number=f"S-{bill.id[:8]}",
        currency=bill.currency,
        tax_rate=f"{bill.tax_thousandths / 1000:.3f}",
        **{name: None if minor is None else text(minor) for name, minor in amounts.items()},
        **columns,
    )
    for minor in lines:
        key = office.rows.put(
            "line_items", invoice=bill.id, kind="fee", description="Legal advice", amount=text(minor)
        )
        bill.lines[key] = minor
    office.bills[bill.id] = bill


def keys(what: str) -> Callable[[], str]:
    """Keys that are the same in every run, in no order that anything could lean on."""
    numbers = itertools.count()
    return lambda: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{what} {next(numbers)}"))


class PaymentsMachine(RuleBasedStateMachine):
    """The promise: whatever happened, once all is quiet the books say exactly that."""

    def __init__(self) -> None:
        super().__init__()
        self.office = office_in_memory()
        self.people = People(self.office)
        self.auditor = Auditor(self.office)
        self._lose_the_rest = False

    @initialize(lose=st.booleans())
    def opens(self, *, lose: bool) -> None:
        """`lose`: what was not delivered by the end never is."""
        self._lose_the_rest = lose

    # ---- our functions, disturbed -----------------------------------------------------------------------

    def _during(self, fault: Fault | None, choose: Choose, act: Callable[[], object]) -> None:
        self.office.meanwhile = lambda: choose(self._interruptions(), "meanwhile")(choose)
        with self.office.disturbed(fault):
            act()

    def _interruptions(self) -> list[Callable[[Choose], None]]:
        people = self.people
        return [
            self._another_press,
            self._work,
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
        ]

    def _another_press(self, choose: Choose) -> None:
        self.people.press_pay(choose, quiet=False)

    def _work(self, choose: Choose) -> None:
        if groups := self.office.groups():
            self.office.work(choose(groups, "group"))

    @rule(data=st.data(), fault=FAULTS)
    def a_client_presses_pay(self, data: st.DataObject, fault: Fault | None) -> None:
        choose = drawn(data)
        quiet = fault is None or fault.kind != "meanwhile"
        self._during(fault, choose, lambda: self.people.press_pay(choose, quiet=quiet))

    @rule(data=st.data())
    def a_client_presses_pay_twice(self, data: st.DataObject) -> None:
        self.people.press_pay(drawn(data))
        self.people.press_pay(drawn(data))

    @rule(data=st.data())
    def a_stranger_presses_pay(self, data: st.DataObject) -> None:
        self.people.press_pay_as_another(drawn(data))

    @precondition(lambda self: self.office.queue.sent)
    @rule(data=st.data(), fault=FAULTS)
    def the_worker_takes_a_message(self, data: st.DataObject, fault: Fault | None) -> None:
        choose = drawn(data)
        self._during(fault, choose, lambda: self._work(choose))

    @precondition(lambda self: self.office.stripe.events)
    @rule(data=st.data(), fault=OUTAGES)
    def stripe_delivers(self, data: st.DataObject, fault: Fault | None) -> None:
        with self.office.disturbed(fault):
            self.people.deliver(drawn(data))

    @precondition(lambda self: self.office.queue.sent)
    @rule()
    def the_queue_is_emptied(self) -> None:
        self.office.drain()

    @rule()
    def the_renderer_works(self) -> None:
        self.office.render()

    # ---- clients, banks ---------------------------------------------------------------------------------

    @precondition(lambda self: self.office.stripe.open_sessions())
    @rule(data=st.data())
    def a_card_pays(self, data: st.DataObject) -> None:
        self.people.pay_by_card(drawn(data))

    @precondition(lambda self: self.office.stripe.open_sessions())
    @rule(data=st.data())
    def something_else_is_received(self, data: st.DataObject) -> None:
        self.people.pay_something_else(drawn(data))

    @precondition(lambda self: self.office.stripe.open_sessions())
    @rule(data=st.data())
    def a_card_is_declined(self, data: st.DataObject) -> None:
        self.people.card_declined(drawn(data))

    @precondition(lambda self: self.office.stripe.open_sessions())
    @rule(data=st.data())
    def a_bank_debit_begins(self, data: st.DataObject) -> None:
        self.people.debit_begins(drawn(data))

    @precondition(lambda self: self.people.debits())
    @rule(data=st.data())
    def a_bank_debit_ends(self, data: st.DataObject) -> None:
        self.people.debit_ends(drawn(data))

    @precondition(lambda self: self.office.stripe.open_sessions())
    @rule(data=st.data())
    def a_session_is_expired(self, data: st.DataObject) -> None:
        self.people.session_expires(drawn(data))

    @rule(data=st.data())
    def a_stray_session_appears(self, data: st.DataObject) -> None:
        self.people.stray_session(drawn(data))

    @precondition(lambda self: self.people.paid())
    @rule(data=st.data())
    def money_is_refunded(self, data: st.DataObject) -> None:
        self.people.refund(drawn(data))

    @precondition(lambda self: self.office.stripe.refunds)
    @rule(data=st.data())
    def a_refund_changes(self, data: st.DataObject) -> None:
        self.people.refund_changes(drawn(data))

    @precondition(lambda self: self.people.paid())
    @rule(data=st.data())
    def a_payment_is_disputed(self, data: st.DataObject) -> None:
        self.people.dispute(drawn(data))

    @precondition(lambda self: self.office.stripe.disputes)
    @rule(data=st.data())
    def a_dispute_changes(self, data: st.DataObject) -> None:
        self.people.dispute_changes(drawn(data))

    @precondition(lambda self: self.people.paid())
    @rule(data=st.data())
    def a_fee_becomes_known(self, data: st.DataObject) -> None:
        self.people.fee_becomes_known(drawn(data))

    # ---- staff ------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def a_client_objects(self, data: st.DataObject) -> None:
        self.people.object_to(drawn(data))

    @rule(data=st.data())
    def an_objection_ends(self, data: st.DataObject) -> None:
        self.people.withdraw(drawn(data))

    @rule(data=st.data())
    def staff_give_a_discount(self, data: st.DataObject) -> None:
        self.people.discount(drawn(data))

    @rule(data=st.data())
    def staff_send_the_draft(self, data: st.DataObject) -> None:
        self.people.send_draft(drawn(data))

    @rule(data=st.data())
    def staff_write_sent_again(self, data: st.DataObject) -> None:
        self.people.write_sent_again(drawn(data))

    @rule(data=st.data())
    def staff_void(self, data: st.DataObject) -> None:
        self.people.void(drawn(data))

    @rule(data=st.data())
    def staff_cancel_an_attempt(self, data: st.DataObject) -> None:
        self.people.cancel_attempt(drawn(data))

    @rule(data=st.data())
    def staff_enter_a_payment(self, data: st.DataObject) -> None:
        self.people.enter_payment(drawn(data))

    @rule(data=st.data())
    def staff_edit_a_payment(self, data: st.DataObject) -> None:
        self.people.edit_payment(drawn(data))

    @rule(data=st.data())
    def staff_enter_a_refund(self, data: st.DataObject) -> None:
        self.people.enter_refund(drawn(data))

    @rule(data=st.data())
    def staff_edit_a_refund(self, data: st.DataObject) -> None:
        self.people.edit_refund(drawn(data))

    @rule(data=st.data())
    def a_partner_assigns_money(self, data: st.DataObject) -> None:
        self.people.assign(drawn(data))

    @precondition(lambda self: self.office.untold)
    @rule(data=st.data())
    def a_flow_arrives_late(self, data: st.DataObject) -> None:
        self.people.flow_arrives_late(drawn(data))

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        self.people.time_passes(drawn(data))

    # ---- what must hold ---------------------------------------------------------------------------------

    @invariant()
    def always(self) -> None:
        self.auditor.always()

    def teardown(self) -> None:
        self.finish()
        self.auditor.audit()

    def finish(self) -> None:
        """All becomes quiet."""
        for _ in range(3):
            for event in self.people.undelivered():
                self.office.receive(event)
            for session in self.office.stripe.sessions.values():
                group = session.metadata.get("directus_invoice", session.id)
                if group in self.office.bills:
                    self.office.queue.send(
                        {"type": "sync_session", "invoice": group, "checkout_session": session.id},
                        group=group,
                    )
            for event in self.office.stripe.events:
                row = self.office.rows.all("stripe_events").get(event.id)
                if (row is not None and row["status"] == "parked") or not event.invoice:
                    self.office.receive(event)
            self.office.drain()
            for invoice in self.office.bills:
                self.office.told(invoice)
            self.office.drain()


def drawn(data: st.DataObject) -> Choose:
    """Hypothesis chooses."""

    def choose[Option](options: Sequence[Option], what: str) -> Option:
        return options[0] if len(options) == 1 else data.draw(st.sampled_from(options), label=what)

    return choose
