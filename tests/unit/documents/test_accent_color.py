from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.documents.receipt import ReceiptRecord, ReceivedPayment, print_receipt
from billing.documents.rows import firm_from_row
from billing.documents.template import DocumentTemplate
from billing.documents.text import DEFAULT_ACCENT, LEAST_CONTRAST, WHITE, AccentColor, accent_color
from billing.ledger.ledger import PaymentStatus
from billing.money import Money
from directus.doctor_look import contrast_with_white, remark_on_color
from tests.fakes.firm_rows import FIRM
from tests.integration.render_pdf.sample_invoices import CLIENT, SENT_AT, facts, ordinary

PARTS = st.integers(0, 255)
COLORS = st.builds(AccentColor, PARTS, PARTS, PARTS)


def test_contrast_is_reckoned_as_wcag_does() -> None:
    black = AccentColor(0, 0, 0)
    assert black.contrast(WHITE) == WHITE.contrast(black) == pytest.approx(21)
    assert AccentColor(0x77, 0x77, 0x77).contrast(WHITE) == pytest.approx(4.48, abs=0.01)
    assert AccentColor(0x76, 0x76, 0x76).contrast(WHITE) == pytest.approx(4.54, abs=0.01)
    assert AccentColor(255, 0, 0).contrast(WHITE) == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize(
    ("said", "drawn"),
    [
        ("#9B1C31", "#9b1c31"), ("#000000", "#000000"), ("#767676", "#767676"), ("#777777", DEFAULT_ACCENT.css),
        ("#FFFFFF", DEFAULT_ACCENT.css), ("", DEFAULT_ACCENT.css), ("red", DEFAULT_ACCENT.css), ("#123", DEFAULT_ACCENT.css),
        ("#1234567", DEFAULT_ACCENT.css), ("#12345g", DEFAULT_ACCENT.css), ("#000000\n", DEFAULT_ACCENT.css),
        ("#000000;} * {display:none", DEFAULT_ACCENT.css), ("#\u0661\u0662\u0663456", DEFAULT_ACCENT.css),
    ],
)  # fmt: skip
def test_a_colour_that_cannot_be_read_or_is_none_is_not_used(said: str, drawn: str) -> None:
    assert accent_color(said).css == drawn


@given(COLORS)
def test_whatever_is_used_can_be_read_on_white_and_in_large_letters_on_its_own_tint(
    color: AccentColor,
) -> None:
    used = accent_color(color.css)
    assert used in (color, DEFAULT_ACCENT)
    assert used.contrast(WHITE) >= LEAST_CONTRAST
    assert used.contrast(used.tint) >= 3  # WCAG's limit for large text, which the balance due is
    assert used.tint.contrast(WHITE) < 1.3


@given(st.text())
def test_no_text_ever_reaches_the_style_but_as_six_digits(text: str) -> None:
    css = accent_color(text).css
    assert len(css) == 7
    assert set(css[1:]) <= set("0123456789abcdef")


def test_the_firms_colour_is_on_its_letterhead_and_on_the_page() -> None:
    letterhead, _ = firm_from_row(FIRM | {"accent_color": "#9B1C31"})
    assert letterhead.accent_color == AccentColor(0x9B, 0x1C, 0x31)
    assert firm_from_row(FIRM)[0].accent_color == DEFAULT_ACCENT
    html = DocumentTemplate().invoice_html(replace(ordinary(), firm=letterhead))
    assert "--accent: #9b1c31; --tint: #f8f0f1" in html


def test_no_other_colour_of_the_firms_is_left_in_the_style() -> None:
    for style in (DocumentTemplate().style, DocumentTemplate().receipt_style):
        assert DEFAULT_ACCENT.css not in style
        assert "var(--accent)" in style


def test_receipts_wear_it_too() -> None:
    letterhead, _ = firm_from_row(FIRM | {"accent_color": "#9B1C31"})
    payment = ReceivedPayment(
        "p", Money(1, "USD"), PaymentStatus.SUCCEEDED, "card", client=facts().ledger.client, booked_at=SENT_AT
    )
    printed = print_receipt(ReceiptRecord(payment, facts(), letterhead, CLIENT))
    assert "--accent: #9b1c31; --tint: #f8f0f1" in DocumentTemplate().receipt_html(printed)


@given(PARTS, PARTS, PARTS)
def test_the_doctor_warns_of_exactly_those_colours_that_are_not_used(red: int, green: int, blue: int) -> None:
    color = AccentColor(red, green, blue)
    assert contrast_with_white(color.css) == pytest.approx(color.contrast(WHITE))
    assert (remark_on_color(color.css) is None) == (accent_color(color.css) == color)


@pytest.mark.parametrize(
    "text",
    ["red", "#12345", "#12 45 6", "#1234567", "1d3a5f0", "#gggggg", "#\u0661\u0662\u0663\u0664\u0665\u0666"],
)
def test_the_doctor_says_of_what_is_no_colour_that_it_is_none(text: str) -> None:
    assert accent_color(text) == DEFAULT_ACCENT
    assert "is not a color" in (remark_on_color(text) or "")


def test_the_doctor_says_nothing_of_no_colour_and_names_the_ratio_of_a_light_one() -> None:
    assert remark_on_color("") is None
    assert "(4.47:1, 4.5:1 is needed)" in (remark_on_color("#777777") or "")
