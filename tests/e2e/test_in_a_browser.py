"""What a person sees: Stripe's page (the simulator's), the Data Studio, the caught mail, in a real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from local.demo import steps
from tests.chromium import chromium_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.demo.steps import Firm


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium_page() as opened:
        yield opened


def test_a_client_is_declined_tries_another_card_and_has_paid(page: Page, firm: Firm) -> None:
    lines = [steps.fee("Advice", "1.00", "300.00", "300.00")]
    invoice = steps.draft_invoice(firm, firm.staff[0], firm.client_of(0), lines, tax_rate="0")["id"]
    steps.send_invoice(firm, firm.staff[0], invoice)
    page.goto(firm.clients[0].pay(firm.flow("pay_invoice"), invoice).json["url"])
    expect(page.get_by_role("heading", name="300.00 USD")).to_be_visible()
    page.get_by_label("Card or account number").fill(steps.DECLINED_CARD)
    page.get_by_role("button", name="Pay by card").click()
    expect(page.get_by_role("alert")).to_contain_text("declined")
    page.get_by_label("Card or account number").fill(steps.GOOD_CARD)
    page.get_by_role("button", name="Pay by card").click()
    page.wait_for_url("**/paid**")
    steps.wait_for_invoice(firm, invoice, lambda row: row["status"] == "paid")


def test_staff_logs_in_to_the_data_studio_and_sees_only_their_clients_invoices(
    page: Page, firm: Firm
) -> None:
    login = firm.description["directus"]["staff"][0]
    number = "invoice_number"
    lines = [steps.fee("Advice", "1.00", "300.00", "300.00")]
    own = steps.draft_invoice(firm, firm.staff[0], firm.client_of(0), lines)[number]
    seen_by_staff = [row[number] for row in firm.staff[0].list("invoices", {}, number)]
    foreign = [
        row[number]
        for row in firm.administrator.list("invoices", {}, number)
        if row[number] not in seen_by_staff
    ]
    assert foreign
    page.goto(f"{firm.directus_url}/admin/login")
    page.get_by_placeholder("Email").fill(login["email"])
    page.get_by_placeholder("Password").fill(login["password"])
    page.get_by_role("button", name="Sign In").click()
    page.wait_for_url(lambda url: "/login" not in url)
    page.goto(f"{firm.directus_url}/admin/content/invoices")
    page.get_by_role("button", name="search").click()
    page.get_by_placeholder("Search").fill(own)
    expect(page.get_by_role("cell", name=own)).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(2)  # the heads, and the one invoice
    page.get_by_placeholder("Search").fill(foreign[0])
    expect(page.get_by_text("No Results")).to_be_visible()
    assert foreign[0] not in page.locator("main").inner_text()
