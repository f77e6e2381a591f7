"""What was once wrong on the page, held by where words stand."""

import io
import itertools
import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pikepdf
import pytest

from billing.documents.invoice import Addressee, Logo, PostalAddress, PrintedInvoice
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.receipt import ReceiptRecord, ReceivedPayment, print_receipt
from billing.documents.text import DEFAULT_ACCENT, AccentColor
from billing.ledger.ledger import PaymentStatus
from billing.money import Money
from tests.integration.render_pdf import electronic_samples
from tests.integration.render_pdf.layout_samples import (
    CONTINENTAL,
    PORTAL,
    drawn,
    lines,
    narratives,
    svg_logo,
)
from tests.integration.render_pdf.page_words import Page, codes_on, pages_of
from tests.integration.render_pdf.sample_invoices import (
    CLIENT,
    FIRM,
    LOGO,
    SENT_AT,
    credit,
    expense,
    facts,
    fee,
    ordinary,
    unwieldy,
)
from tests.integration.render_pdf.tagged_pdf import TaggedPdf, defects

# WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014.icc:ResourceWarning")

POINTS_PER_MM = 72 / 25.4


def draw(renderer: WeasyPrintRenderer, printed: PrintedInvoice, logo: Logo = LOGO) -> bytes:
    rendered = renderer.render_invoice(printed, logo if printed.logo_sha256 else None)
    assert rendered.missing_glyphs == 0
    return rendered.content


def pages(renderer: WeasyPrintRenderer, printed: PrintedInvoice) -> list[Page]:
    return pages_of(draw(renderer, printed))


def page_with(found: list[Page], text: str) -> int:
    (number,) = (number for number, page in enumerate(found) if text in page.text)
    return number


def test_totals_never_stand_without_the_lines_they_add_up(renderer: WeasyPrintRenderer) -> None:
    on_later_pages = 0
    for count in (1, 2, 3, 4, 7, 8):
        found = pages(renderer, drawn(lines(count)))
        number = page_with(found, "Subtotal")
        assert "Courtesy discount" in found[number].text
        assert "Total discounts" in found[number].text
        assert "Balance due" in found[number].text.partition("Subtotal")[2]
        on_later_pages += number > 0
    assert 0 < on_later_pages < 6


def test_totals_take_a_line_of_a_long_list_with_them(renderer: WeasyPrintRenderer) -> None:
    on_later_pages = 0
    for count in (9, 10, 11, 12):
        found = pages(renderer, drawn([fee(number) for number in range(count)]))
        number = page_with(found, "Subtotal")
        assert f"[{count}]" in found[number].text
        on_later_pages += number > 0
    assert on_later_pages


@pytest.mark.parametrize(
    ("count", "letters", "continental"),
    [(8, 180, True), (4, 2500, False)],
)
def test_no_page_before_the_totals_is_half_empty_and_they_have_a_line_above(
    renderer: WeasyPrintRenderer,
    count: int,
    letters: int,
    continental: bool,  # noqa: FBT001  # pytest passes it by name
) -> None:
    """They were: groups of few lines were kept whole however tall, and a tall last row left the totals alone."""
    printed = drawn(
        narratives(count, letters, "EUR" if continental else "USD"), continental=continental, language="en"
    )
    found = pages(renderer, printed)
    number = page_with(found, "Subtotal")
    assert number > 0
    assert f"#{count:03}" in found[number].text.partition("Subtotal")[0]
    for page in found[:number]:
        assert max(word.bottom for word in page.body) > 0.62 * page.height
    for mark in range(1, count + 1):
        assert sum(page.text.count(f"#{mark:03}") for page in found) == 1


def test_expenses_that_do_not_fit_below_the_fees_begin_there(renderer: WeasyPrintRenderer) -> None:
    fees = [replace(fee(number), description="Call") for number in range(6)]
    expenses = [expense(number, f"Courier {number} " + "to the court " * 13, "3") for number in range(8)]
    first, second = pages(renderer, drawn([*fees, *expenses]))
    assert max(word.bottom for word in first.body) > 0.75 * first.height
    assert "Courier 0" in first.text
    assert "Courier 7" in second.text.partition("Subtotal")[0]


def test_rows_taller_than_a_page_keep_their_column_heads_and_lose_nothing(
    renderer: WeasyPrintRenderer,
) -> None:
    """WeasyPrint repeats no heads above a row that may not be broken and fills a page."""
    texts = ("b " * 1500, "契約書の確認と修正" * 160, "استشارة قانونية " * 180, "c " * 1500)
    rows = [replace(fee(number), description=text) for number, text in enumerate(texts)]
    pdf = draw(renderer, drawn(rows, client_message="", portal_url=""))
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        assert defects(TaggedPdf(opened)) == []
    found = pages_of(pdf)
    last = page_with(found, "Subtotal")
    assert last > 4
    assert [page.text.count("Timekeeper") for page in found[: last + 1]] == [1] * (last + 1)
    everything = "".join(page.text for page in found)
    assert everything.count("契") == 160
    printed_letters = Counter(word.text for page in found for word in page.words)
    assert (printed_letters["b"], printed_letters["c"]) == (1500, 1500)
    assert "c" in found[last].text.partition("Subtotal")[0].split()


def test_a_message_of_two_pages_begins_where_there_is_room(renderer: WeasyPrintRenderer) -> None:
    message = "\n\n".join(" ".join([f"p{number}"] * 150) for number in range(12))
    found = pages(renderer, drawn(lines(2), language="es", client_message=message))
    assert page_with(found, "Cómo pagar") == page_with(found, "Nota para usted")
    for page in found[1:-1]:
        assert max(word.bottom for word in page.body) > 0.85 * page.height
    assert sum(len(re.findall(r"\bp\d+\b", page.text)) for page in found) == 12 * 150


def test_no_paragraph_leaves_one_line_behind(renderer: WeasyPrintRenderer) -> None:
    split = 0
    for words in (250, 270, 290):
        message = "\n\n".join(" ".join([f"p{number}"] * words) for number in range(12))
        parts = Counter(
            (number, paragraph)
            for number, page in enumerate(pages(renderer, drawn(lines(2), client_message=message)))
            for paragraph, _ in {(w.text, round(w.top)) for w in page.words if re.fullmatch(r"p\d+", w.text)}
        )
        by_paragraph = Counter(paragraph for _, paragraph in parts)
        for (_, paragraph), lines_here in parts.items():
            if by_paragraph[paragraph] > 1:
                split += 1
                assert lines_here >= 3
    assert split


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 8])
@pytest.mark.parametrize("continental", [False, True])
def test_no_line_of_the_foot_is_lost_or_too_near_the_edge(
    renderer: WeasyPrintRenderer,
    count: int,
    continental: bool,  # noqa: FBT001  # pytest passes it by name
) -> None:
    footer = "\n".join(f"Footline{number} " + "Berufshaftpflicht " * 4 for number in range(count))
    printed = drawn(lines(7, "EUR" if continental else "USD"), continental=continental)
    found = pages(renderer, replace(printed, firm=replace(printed.firm, footer=footer)))
    for page in found:
        foot = [word for word in page.words if word.text.startswith("Footline")]
        assert len(foot) == count
        assert max(word.bottom for word in foot) < page.height - 5 * POINTS_PER_MM
        assert max(word.bottom for word in page.body) < min(word.top for word in foot)


def test_a_foot_that_no_page_has_room_for_is_printed_once_at_the_end(renderer: WeasyPrintRenderer) -> None:
    footer = "\n".join(f"Footline{number}" for number in range(30))
    printed = drawn(lines(7))
    found = pages(renderer, replace(printed, firm=replace(printed.firm, footer=footer)))
    printed_words = [word.text for page in found for word in page.words if word.text.startswith("Footline")]
    assert printed_words == [f"Footline{number}" for number in range(30)]
    assert [f"Page {number} of {len(found)}" in page.text for number, page in enumerate(found, start=1)] == [
        True
    ] * len(found)


@pytest.mark.parametrize("count", [2, 5, 8, 12])
def test_a_receipts_foot_loses_nothing_either(renderer: WeasyPrintRenderer, count: int) -> None:
    footer = "\n".join(f"Footline{number}" for number in range(count))
    payment = ReceivedPayment(
        "p", Money(1, "USD"), PaymentStatus.SUCCEEDED, "card", client=facts().ledger.client, booked_at=SENT_AT
    )
    printed = print_receipt(ReceiptRecord(payment, facts(), replace(FIRM, footer=footer), CLIENT))
    (page,) = pages_of(renderer.render_receipt(printed, None).content)
    foot = [word for word in page.words if word.text.startswith("Footline")]
    assert [word.text for word in foot] == footer.split()
    assert max(word.bottom for word in foot) < page.height - 5 * POINTS_PER_MM
    assert page.find("Thank").bottom < foot[0].top


def test_expenses_of_no_hours_have_no_column_of_hours(renderer: WeasyPrintRenderer) -> None:
    free = replace(expense(1, "Courier", "38.50"), hours=Decimal(0), rate=Money(0, "USD"))
    (page,) = pages(renderer, drawn([fee(0), free], client_message="", portal_url=""))
    fees, _, expenses = page.text.partition("Expenses and disbursements")
    assert "Hours" in fees
    assert "Hours" not in expenses
    assert "Courier" in expenses
    assert "0.00" not in expenses


@pytest.mark.parametrize("size", [(60, 600), (2000, 60), (16, 16), (400, 300)])
def test_a_logo_of_any_shape_stays_in_the_letterhead_undistorted(
    renderer: WeasyPrintRenderer, size: tuple[int, int]
) -> None:
    logo = svg_logo(*size)
    pdf = draw(renderer, drawn(lines(2), logo=logo), logo)
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        figure = TaggedPdf(opened).of_role("Figure")[0]
        left, bottom, right, top = (float(edge) for edge in figure.attribute("/BBox"))
    first = pages_of(pdf)[0]
    assert right - left <= 70.1 * POINTS_PER_MM
    assert top - bottom <= 22.1 * POINTS_PER_MM
    assert (right - left) / (top - bottom) == pytest.approx(size[0] / size[1], rel=0.02)
    assert first.height - bottom < first.find("Invoice").top
    assert right < first.find("Harrow").left


def test_ten_lines_of_bank_details_stay_together_beside_code_and_reference(
    renderer: WeasyPrintRenderer,
) -> None:
    details = "\n".join(f"Bankline{number} DE02 1203 0000 0000" for number in range(10))
    printed = drawn(lines(4, "EUR"), continental=True, language="fr")
    found = pages(renderer, replace(printed, firm=replace(printed.firm, bank_details=details)))
    page = found[page_with(found, "Modalités de paiement")]
    bank = [word for word in page.words if word.text.startswith("Bankline")]
    assert len(bank) == 10
    assert len({round(word.left) for word in bank}) == 1
    heading, reference = page.find("Modalités"), page.find("RÉFÉRENCE")
    assert heading.top < bank[0].top
    assert reference.left > max(word.right for word in bank)


def test_bank_details_longer_than_a_page_are_printed_to_the_last_letter(
    renderer: WeasyPrintRenderer,
) -> None:
    """What did not fit on the page was cut off there."""
    details = "\n".join([*(f"Bankline{number:02}" for number in range(80)), "B" * 5000])
    printed = drawn(lines(1))
    found = pages(renderer, replace(printed, firm=replace(printed.firm, bank_details=details)))
    first = found[page_with(found, "How to pay")]
    words = [word for page in found for word in page.words if re.fullmatch(r"B+|Bankline\d\d", word.text)]
    assert "".join(word.text for word in words) == details.replace("\n", "")
    assert words[0] in first.words
    assert first.find("How").bottom < first.find("TRANSFER").bottom < words[0].top
    assert words[-1] not in first.words
    assert page_with(found, "PAYMENT REFERENCE") == len(found) - 1


@pytest.mark.parametrize("lines_of_address", [5, 8])
def test_how_to_pay_is_printed_once_where_it_just_does_not_fit(
    renderer: WeasyPrintRenderer, lines_of_address: int
) -> None:
    """Floats were drawn twice there: at the top of the next page without their heading, then again below it."""
    address = replace(CLIENT.address, lines=tuple(f"Line {number}" for number in range(lines_of_address)))
    printed = electronic_samples.invoice(
        [fee(0, "EUR"), *lines(0, "EUR")],
        [],
        language="es",
        tax_rate="0",
        tax_exemption_reason="Inversión del sujeto pasivo",
        client={"address": address},
    )
    pdf = draw(renderer, replace(printed, portal_url=PORTAL))
    found = pages_of(pdf)
    page = found[page_with(found, "Cómo pagar")]
    assert [word.text for each in found for word in each.words].count("Hansebank") == 1
    assert page.find("Cómo").bottom < page.find("Hansebank").top
    assert len(codes_on(pdf)) == 1


def test_arabic_and_hebrew_are_read_from_right_to_left_with_their_numbers_and_full_stops(
    renderer: WeasyPrintRenderer,
) -> None:
    message = "פתיחה 12 Skagen סוף\n\nFirst 34 Haven last"
    client = replace(CLIENT, name="חברה 56 LLC")
    line = replace(fee(0), description="סקירה 78 Draft", timekeeper="דוד")
    (page,) = pages(renderer, drawn([line], client_message=message, client=client, portal_url=""))
    for first, second in (("12", "Skagen"), ("56", "LLC"), ("78", "Draft")):
        assert page.find(first).left > page.find(second).right
    assert page.find("34").right < page.find("Haven").left
    left = page.find("BILLED").left
    assert page.find("LLC").left == pytest.approx(left, abs=1)  # an address stays in its column
    assert page.find("Skagen").left > left + 50 * POINTS_PER_MM  # a paragraph begins at the right
    beside = [word for word in page.words if abs(word.top - page.find("Skagen").top) < 2]
    assert max(word.right for word in beside) == pytest.approx(page.width - 18 * POINTS_PER_MM, abs=2)
    assert page.find("34").right < left + 20 * POINTS_PER_MM


def test_120_lines_on_a4_in_german_repeat_their_heads_and_count_their_pages(
    renderer: WeasyPrintRenderer,
) -> None:
    found = pages(renderer, drawn(lines(117, "EUR"), continental=True, language="de"))
    assert [round(found[0].width), round(found[0].height)] == [595, 842]
    for number, page in enumerate(found, start=1):
        assert f"Seite {number} von {len(found)}" in page.text
        assert page.text.count("Bearbeiter") == 1
    numbered = [int(number) for page in found for number in re.findall(r"\[(\d+)\]", page.text)]
    assert numbered == list(range(6, 118))


@pytest.mark.parametrize(
    ("name", "street"),
    [
        ("شركة الأفق للتجارة والمقاولات المحدودة", "شارع الملك فهد"),
        ("株式会社さくら商事ホールディングス法務部御中", "東京都千代田区丸の内一丁目2番3号"),
        ("Επιχειρήσεις Παπαδόπουλος", "Ермитажная набережная 12"),
    ],
)  # fmt: skip
def test_names_in_other_scripts_are_drawn_in_their_place(
    renderer: WeasyPrintRenderer, name: str, street: str
) -> None:
    address = PostalAddress((street,), "US")
    page = pages(renderer, drawn(lines(2), client=Addressee(name, address), client_message=""))[0]
    heading = page.find("BILLED")
    below = [
        word for word in page.words if heading.bottom < word.top < heading.bottom + 40 and word.left < 300
    ]
    assert {letter for word in below for letter in word.text} >= {
        letter for letter in street if letter.isdigit()
    }
    assert min(word.left for word in below) == pytest.approx(heading.left, abs=2)
    assert max(word.right for word in below) < page.find("number").left
    letters = Counter(letter for word in below for letter in word.text if letter.isalpha())
    expected = Counter(letter for letter in name if letter.isalpha())
    assert sum((letters & expected).values()) > 0.6 * sum(
        expected.values()
    )  # poppler joins some Arabic letters


def test_no_page_says_less_than_its_number(renderer: WeasyPrintRenderer) -> None:
    """No page is blank but for its head and foot."""
    for printed in (drawn(lines(2)), drawn(lines(20)), unwieldy(), credit()):
        assert all(len(page.body) > 3 for page in pages(renderer, printed))


@pytest.mark.parametrize(
    "portal", ["https://portal.example", "https://" + "very-long-portal-name." * 6 + "example"]
)
def test_a_camera_reads_the_portal_link_off_the_page(renderer: WeasyPrintRenderer, portal: str) -> None:
    printed = replace(ordinary(), portal_url=portal)
    assert codes_on(draw(renderer, printed)) == [(f"{portal}/invoices/{printed.id}", "M")]


def test_there_is_no_code_without_a_portal_or_without_anything_to_pay(renderer: WeasyPrintRenderer) -> None:
    for printed in (
        replace(ordinary(), portal_url=""),
        replace(credit(), portal_url="https://portal.example"),
    ):
        assert codes_on(draw(renderer, printed)) == []


def colors_of(pdf: bytes) -> set[str]:
    """Every colour that anything is filled or drawn with."""
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        instructions = itertools.chain.from_iterable(map(pikepdf.parse_content_stream, opened.pages))
        triples = [
            found.operands for found in instructions if str(found.operator) in {"rg", "RG", "scn", "SCN"}
        ]
    return {"#" + "".join(f"{round(float(part) * 255):02x}" for part in values) for values in triples}


def test_the_firms_colour_is_the_only_accent_on_the_page(renderer: WeasyPrintRenderer) -> None:
    red = AccentColor(0x9B, 0x1C, 0x31)
    printed = drawn(lines(2), firm=replace(CONTINENTAL, accent_color=red))
    with_red, with_ours = colors_of(draw(renderer, printed)), colors_of(draw(renderer, drawn(lines(2))))
    assert {red.css, red.tint.css} <= with_red
    assert {DEFAULT_ACCENT.css, DEFAULT_ACCENT.tint.css} <= with_ours
    assert not {DEFAULT_ACCENT.css, DEFAULT_ACCENT.tint.css} & with_red
