import re
from dataclasses import replace

import pytest

from billing.documents.template import DocumentTemplate, qr_code
from tests.integration.render_pdf.sample_invoices import credit, ordinary

LINK = "https://portal.example/invoices/0192f0c2-7a51-7c11-9c3e-3d0f5a1b7e42"


def test_there_are_four_white_modules_all_around() -> None:
    code = qr_code(LINK)
    assert code is not None
    runs = [
        (int(left), int(top), int(left) + int(wide))
        for left, top, wide in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", code.path)
    ]
    assert "".join(f"M{a} {b}h{c - a}v1h-{c - a}z" for a, b, c in runs) == code.path
    assert (min(run[0] for run in runs), min(run[1] for run in runs)) == (4, 4)
    assert (max(run[2] for run in runs), max(run[1] for run in runs)) == (code.side - 4, code.side - 5)


@pytest.mark.parametrize("length", [1, 60, 200, 400])
def test_a_longer_address_makes_a_larger_code_of_readable_modules(length: int) -> None:
    code = qr_code("x" * length)
    assert code is not None
    assert code.millimetres >= 22
    assert code.millimetres / code.side > 0.4


@pytest.mark.parametrize("length", [413, 5000])
def test_an_address_too_long_to_be_read_from_paper_gets_no_code(length: int) -> None:
    assert qr_code("x" * length) is None


def test_it_is_drawn_only_where_there_is_a_portal_and_something_to_pay() -> None:
    def codes(**changes: object) -> int:
        return DocumentTemplate().invoice_html(replace(ordinary(), **changes)).count("<svg")  # type: ignore[arg-type]  # names of its own fields

    assert codes() == 1
    assert codes(portal_url="") == 0
    assert codes(balance_due=ordinary().balance_due - ordinary().balance_due) == 0
    assert DocumentTemplate().invoice_html(replace(credit(), portal_url=LINK)).count("<svg") == 0


def test_an_address_of_any_length_is_still_printed() -> None:
    html = DocumentTemplate().invoice_html(replace(ordinary(), portal_url="https://x.example/" + "y" * 500))
    assert "<svg" not in html
    assert "y" * 500 in html


def test_the_code_says_what_it_is_in_the_readers_language() -> None:
    html = DocumentTemplate().invoice_html(replace(ordinary(), language="de"))
    assert "<title>QR-Code, der diese Rechnung im Portal öffnet</title>" in html
