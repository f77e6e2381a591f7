"""The state machine: Hypothesis decides what happens, in which order, and what goes wrong in the middle of it."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.payments.office import Choose, Fault
from tests.unit.payments.play import EFFECTS, KINDS, MOST_STEPS, RESTS, Play, office_in_memory

FAULTS = st.none() | st.builds(
    Fault,
    st.sampled_from(KINDS),
    step=st.sampled_from(EFFECTS) | st.integers(0, MOST_STEPS),
    after=st.booleans(),
    calls=st.sampled_from([1, 4]),
)
OUTAGES = st.none() | st.builds(
    Fault, st.sampled_from(["crash", "outage"]), step=st.just(0), after=st.booleans()
)


class PaymentsMachine(RuleBasedStateMachine):
    """The promise: whatever happened, once all is quiet the books say exactly that."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Play(office_in_memory())
        self.office, self.people = self.play.office, self.play.people

    @initialize(rest=st.sampled_from(RESTS))
    def opens(self, rest: str) -> None:
        self.play.rest = rest

    # ---- our functions, disturbed -----------------------------------------------------------------------

    @rule(data=st.data(), fault=FAULTS)
    def a_client_presses_pay(self, data: st.DataObject, fault: Fault | None) -> None:
        self.play.press_pay(drawn(data), fault)

    @rule(data=st.data(), fault=FAULTS)
    def a_client_presses_pay_twice(self, data: st.DataObject, fault: Fault | None) -> None:
        self.play.press_pay_twice(drawn(data), fault)

    @rule(data=st.data())
    def an_invoice_is_paid_without_disturbance(self, data: st.DataObject) -> None:
        self.people.pay_quietly(drawn(data))

    @rule(data=st.data())
    def a_stranger_presses_pay(self, data: st.DataObject) -> None:
        self.people.press_pay_as_another(drawn(data))

    @precondition(lambda self: self.office.queue.sent)
    @rule(data=st.data(), fault=FAULTS)
    def the_worker_takes_a_message(self, data: st.DataObject, fault: Fault | None) -> None:
        self.play.take_message(drawn(data), fault)

    @precondition(lambda self: self.office.stripe.events)
    @rule(data=st.data(), fault=OUTAGES)
    def stripe_delivers(self, data: st.DataObject, fault: Fault | None) -> None:
        self.play.take_event(drawn(data), fault)

    @precondition(lambda self: self.office.queue.sent)
    @rule()
    def the_queue_is_emptied(self) -> None:
        self.office.drain()

    @rule(data=st.data(), fault=FAULTS)
    def reconcile_runs(self, data: st.DataObject, fault: Fault | None) -> None:
        self.play.reconcile(drawn(data), fault)

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
        self.play.auditor.always()

    def teardown(self) -> None:
        self.play.finish()
        self.play.auditor.audit()


def drawn(data: st.DataObject) -> Choose:
    """Hypothesis chooses."""

    def choose[Option](options: Sequence[Option], what: str) -> Option:
        return options[0] if len(options) == 1 else data.draw(st.sampled_from(options), label=what)

    return choose
