from html.parser import HTMLParser

from tests.integration.stripe_simulator.support import RunningSimulator, parameters


class Elements(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def open_page(simulator: RunningSimulator, **changes: object) -> tuple[str, Elements]:
    session = simulator.client().v1.checkout.sessions.create(parameters(**changes))
    assert session.url is not None
    answer = simulator.http.get(session.url)
    assert answer.status_code == 200
    return session.url, Elements(answer.content)


def test_the_page_says_what_is_paid_and_that_no_money_moves(simulator: RunningSimulator) -> None:
    _, page = open_page(simulator)
    assert "TEST MODE" in page.text
    assert "1,250.00 USD" in page.text
    assert "Invoice 2026-0042" in page.text
    assert page.all("html") == [{"lang": "en"}]
    labels = {attributes["for"] for attributes in page.all("label")}
    inputs = {attributes["id"] for attributes in page.all("input")}
    assert labels == inputs == {"number", "name"}
    assert [attributes["value"] for attributes in page.all("button")] == ["card"]
    assert page.all("a")[0]["href"] == "https://portal.example/invoices/42"


def test_the_bank_button_is_there_when_the_session_takes_it(simulator: RunningSimulator) -> None:
    _, page = open_page(simulator, allowed_payment_method_types=["card", "us_bank_account"])
    assert [attributes["value"] for attributes in page.all("button")] == ["card", "us_bank_account"]


def test_everything_from_outside_is_escaped(simulator: RunningSimulator) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x>"
    price = {"currency": "usd", "unit_amount": 5000, "product_data": {"name": attack}}
    url, page = open_page(
        simulator,
        line_items=[{"quantity": 1, "price_data": price}],
        customer_email=f"{attack}@example.com",
        cancel_url="https://portal.example/?q=\"'><script>alert(1)</script>",
    )
    assert page.all("script") == []
    assert page.all("img") == []
    assert attack in page.text
    answer = simulator.post_form(url, number=attack, method=attack, name=attack)
    assert answer.status_code == 402
    assert Elements(answer.content).all("script") == []
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_wrong_number_is_told_where_the_reader_looks(simulator: RunningSimulator) -> None:
    url, _ = open_page(simulator)
    page = Elements(simulator.post_form(url, number="1234").content)
    alerts = [attributes for _, attributes in page.elements if attributes.get("role") == "alert"]
    assert alerts == [{"role": "alert", "id": "message"}]
    assert "Your card number is incorrect." in page.text
    assert {attributes.get("aria-describedby") for attributes in page.all("input")} == {"message", None}


def test_a_broken_form_changes_nothing(simulator: RunningSimulator) -> None:
    url, _ = open_page(simulator)
    path = url.removeprefix(simulator.url)
    for body in (b"\xff", b"number", b"number=1&number=2", b"number=" + b"4" * 20_000):
        assert simulator.call("POST", path, body=body).status_code == 400
    assert simulator.client().v1.payment_intents.list().data == []


def test_a_closed_or_unknown_page_is_gone(simulator: RunningSimulator) -> None:
    url, _ = open_page(simulator)
    simulator.control("advance", seconds=24 * 60 * 60)
    assert simulator.http.get(url).status_code == 410
    assert simulator.call("GET", "/c/pay/cs_test_unknown").status_code == 404


def test_the_page_after_paying_claims_nothing(simulator: RunningSimulator) -> None:
    answer = simulator.call("GET", "/paid?sid=whatever")
    assert answer.status_code == 200
    assert b"whatever" not in answer.content
