"""What staff meet in the Data Studio itself, in a real Chromium: the form of a payment, the file library, a refusal."""

import json
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from directus.translations import languages, titles
from local.seed import seed_id
from tests.chromium import chromium_page
from tests.integration.directus.server import RunningDirectus, running


@pytest.fixture(scope="module", params=["sqlite"])
def directus(request: pytest.FixtureRequest) -> RunningDirectus:
    return running(request.param)


@contextmanager
def _studio(directus: RunningDirectus, person: str) -> Iterator[Page]:
    """A browser in which this person is logged in."""
    key, password = seed_id("user", person), secrets.token_urlsafe(15)
    email = directus.admin.call("PATCH", f"/users/{key}?fields=email", {"password": password})["email"]
    with chromium_page() as page:
        login = {"email": email, "password": password, "mode": "session"}
        assert page.request.post(f"{directus.url}/auth/login", data=login).ok
        yield page


def _sent_invoice(directus: RunningDirectus) -> str:
    amounts = {"subtotal": "100.00", "tax": "0.00", "total": "100.00", "balance_due": "100.00"}
    row = {
        "invoice_number": f"D-{uuid.uuid4().hex[:12]}",
        "client": seed_id("client", "velazquez"),
        "currency": "USD",
        "status": "sent",
        "sent_at": "2026-01-05T10:00:00Z",
    }
    return str(directus.admin.call("POST", "/items/invoices?fields=id", row | amounts)["id"])


def _field(form: Locator, name: str) -> Locator:
    return form.locator(".field", has=form.page.locator(".field-name", has_text=name)).first


@pytest.mark.parametrize("person", ["sofia", "ingrid"])
def test_no_page_of_the_data_studio_meets_a_refusal(directus: RunningDirectus, person: str) -> None:
    refusals: list[str] = []

    def note(response: Response) -> None:
        if response.status >= 400:
            refusals.append(f"{page.url}: {response.status} {response.request.method} {response.url}")

    [invoice] = directus.as_(person).call("GET", "/items/invoices?fields=id&limit=1")
    pages = (
        "files",
        "files/+",
        "users",
        f"users/{seed_id('user', person)}",
        "insights",
        "content/invoices",
        f"content/invoices/{invoice['id']}",
        "content/payments/+",
        "content/documents",
    )
    with _studio(directus, person) as page:
        page.on("response", note)
        for path in pages:
            page.goto(f"{directus.url}/admin/{path}")
            page.wait_for_load_state("networkidle")
            expect(page.locator(".v-card-title", has_text="Forbidden")).to_have_count(0)
    assert refusals == []


def test_a_payment_that_is_saved_as_the_form_comes_has_arrived_today(directus: RunningDirectus) -> None:
    invoice = _sent_invoice(directus)
    with _studio(directus, "sofia") as page:
        page.goto(f"{directus.url}/admin/content/invoices/{invoice}")
        _field(page.locator("main"), "Payments").get_by_role("button", name="Create New").click()
        form = page.locator(".v-drawer").last
        expect(_field(form, "Status").locator("input")).to_have_value("Succeeded")
        _field(form, "Amount").locator("input").fill("100")
        _field(form, "Reference").locator("input").fill("1042")
        _field(form, "Method").locator(".v-input").click()
        page.locator(".v-list-item", has_text="Check").last.click()
        form.locator("header button").last.click()  # "Done", an icon without a name
        expect(form).to_have_count(0)
        with page.expect_request(lambda request: request.method == "PATCH") as saved:
            page.keyboard.press("Control+s")
        typed = json.loads(saved.value.post_data or "")["payments"]["create"]
        response = saved.value.response()
        assert response is not None
        assert response.ok
    assert typed == [{"amount": 100, "method": "check", "reference": "1042"}]
    [row] = directus.admin.rows("/items/payments", filter={"invoice": {"_eq": invoice}})
    today = datetime.now(ZoneInfo("America/New_York")).date()
    assert (row["status"], row["currency"]) == ("succeeded", "USD")
    # The form was saved within this minute, perhaps before midnight.
    assert (today - datetime.fromisoformat(row["payment_date"]).date()).days in {0, 1}


@pytest.mark.parametrize("language", [None, "es-419"])
def test_a_refusal_has_a_title_in_the_language_of_the_reader(
    directus: RunningDirectus, language: str | None
) -> None:
    invoice, sofia = _sent_invoice(directus), f"/users/{seed_id('user', 'sofia')}"
    title = titles()["INVOICE_FROZEN"][languages()[language or "en-US"]]
    directus.admin.call("PATCH", sofia, {"language": language})
    try:
        with _studio(directus, "sofia") as page:
            page.goto(f"{directus.url}/admin/content/invoices/{invoice}")
            page.locator("main input").first.fill("ANOTHER-1")
            page.keyboard.press("Control+s")
            dialog = page.locator(".v-card", has_text="INVOICE_FROZEN")
            expect(dialog.locator(".v-card-title")).to_have_text(title)
            expect(dialog).to_contain_text("This invoice has been sent: invoice_number can no longer change.")
    finally:
        directus.admin.call("PATCH", sofia, {"language": None})
