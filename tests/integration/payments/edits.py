"""What staff change in an invoice at the very moment it is worked on."""

from collections.abc import Callable

from tests.integration.payments.firm import Firm

type Edit = Callable[[Firm, str], None]


def a_wire_arrives(firm: Firm, invoice: str) -> None:
    firm.staff_enters_payment(invoice, "40.00")


def a_check_over_the_rest_arrives(firm: Firm, invoice: str) -> None:
    firm.staff_enters_payment(invoice, "100.00", method="check")


def a_discount_is_given(firm: Firm, invoice: str) -> None:
    firm.staff_gives_discount(invoice, "30.00")


def the_client_objects(firm: Firm, invoice: str) -> None:
    firm.client_objects(invoice, "80.00")


def the_invoice_is_voided(firm: Firm, invoice: str) -> None:
    firm.staff_voids(invoice)


EDITS: list[Edit] = [
    a_wire_arrives,
    a_check_over_the_rest_arrives,
    a_discount_is_given,
    the_client_objects,
    the_invoice_is_voided,
]
