"""Schedules that the state machine found and that once ended wrong, each shrunk to what matters."""

from tests.fakes.world import World

_UNKNOWN = {"deployment": "test", "directus_invoice": "a9000000-0000-4000-8000-00000000dead"}


def test_a_message_about_a_debit_that_no_invoice_can_take_does_not_go_round_in_the_dead_letters() -> None:
    """Reconcile meets the open session and asks for it to be expired; the client is faster."""
    world = World()
    session = world.stripe.makes_session(2000, "USD", _UNKNOWN)
    world.stripe.debits(session)
    assert not world.invoice_writer.sync_session(session)
    assert [sentence for sentence, _ in world.flags] == [
        "A bank debit is under way for which Directus has no payment row."
    ]
    assert world.payments() == []
    world.stripe.settles(session, succeeds=True)
    assert world.invoice_writer.sync_session(session)
    (row,) = world.payments(status="succeeded")
    assert (row["invoice"], row["client"], row["amount"]) == (None, None, "20.00")
