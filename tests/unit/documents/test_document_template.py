import dataclasses
import datetime as dt
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from babel.numbers import get_currency_precision

from billing.documents.invoice import LANGUAGES, LineGroup, LineKind
from billing.documents.template import (
    TEMPLATES,
    DocumentTemplate,
    has_long_bank_details,
    is_right_to_left,
    is_short,
    is_tall,
    last_part,
    printed_lines,
)
from billing.formats import formats_of, locale_of
from billing.ledger.receipts_due import METHODS
from billing.money import MINIMUM_CHARGE, Money, exponent_of
from tests.integration.render_pdf.sample_invoices import SAMPLES, fee, hostile


def keys(labels: Mapping[str, object], prefix: str = "") -> set[str]:
    found = set()
    for name, value in labels.items():
        found |= keys(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}"}
    return found


def labels(language: str, folder: str = "labels") -> dict[str, object]:
    return tomllib.loads((TEMPLATES / folder / f"{language}.toml").read_text(encoding="utf-8"))


def texts(labels: Mapping[str, object]) -> list[str]:
    return [
        text
        for value in labels.values()
        for text in (texts(value) if isinstance(value, dict) else [str(value)])
    ]


@pytest.mark.parametrize("folder", ["labels", "receipt_labels"])
def test_every_language_has_the_same_labels_and_no_empty_one(folder: str) -> None:
    files = {path.stem for path in (TEMPLATES / folder).iterdir()}
    assert files == set(LANGUAGES)
    for language in LANGUAGES:
        assert keys(labels(language, folder)) == keys(labels("en", folder))
        assert all(text.strip() for text in texts(labels(language, folder)))


def test_the_receipts_labels_repeat_none_of_the_invoices() -> None:
    assert not keys(labels("en")) & keys(labels("en", "receipt_labels"))


def test_every_kind_and_every_method_has_a_name() -> None:
    english = labels("en")
    assert set(english["groups"]) == set(english["group_totals"]) == {kind.value for kind in LineKind}  # type: ignore[call-overload]  # toml tables
    assert set(english["methods"]) == METHODS  # type: ignore[call-overload]  # a toml table


def test_the_decimals_we_print_are_those_we_reckon_with() -> None:
    assert all(get_currency_precision(code) == exponent_of(code) for code in MINIMUM_CHARGE)


@pytest.mark.parametrize(
    ("tag", "money", "plain", "day", "percent"),
    [
        ("en-US", "$1,234.50", "1,234.50", "October 1, 2026", "8.875%"),
        ("es", "1.234,50 US$", "1.234,50", "1 de octubre de 2026", "8,875 %"),
        ("fr", "1 234,50 $US", "1 234,50", "1 octobre 2026", "8,875 %"),
        ("de", "1.234,50 $", "1.234,50", "1. Oktober 2026", "8,875 %"),
        ("de-CH", "$ 1\u2019234.50", "1\u2019234.50", "1. Oktober 2026", "8.875%"),
        ("en-XX", "$1,234.50", "1,234.50", "October 1, 2026", "8.875%"),
    ],
)
def test_values_are_written_as_the_language_writes_them(
    tag: str, money: str, plain: str, day: str, percent: str
) -> None:
    formats = formats_of(locale_of(tag))
    amount = Money(123_450, "USD")
    written = (
        formats["money"](amount), formats["plain_money"](amount), formats["long_date"](dt.date(2026, 10, 1)),
        formats["percent"](Decimal("8.8750")),
    )  # fmt: skip
    assert tuple(text.replace("\xa0", " ").replace("\u202f", " ") for text in written) == (
        money,
        plain,
        day,
        percent,
    )


def test_a_code_never_touches_its_number() -> None:
    """Babel knows no `currencySpacing` of CLDR."""
    written = {tag: formats_of(locale_of(tag))["money"](Money(-123_456, "CHF")) for tag in LANGUAGES}
    assert written["en"] == "-CHF\u00a01,234.56"
    assert {text.count("\u00a0CHF") for tag, text in written.items() if tag != "en"} == {1}
    assert formats_of(locale_of("en"))["money"](Money(100, "USD")) == "$1.00"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12 שלום", True), ("(شركة) Nordlys", True), ("Nordlys شركة", False), ("", False), ("12/2026", False),
        ("株式会社", False), ("Ναυτιλία", False),
    ],
)  # fmt: skip
def test_the_first_letter_says_in_which_direction_a_text_is_read(
    text: str,
    expected: bool,  # noqa: FBT001  # pytest passes it by name
) -> None:
    assert is_right_to_left(text) is expected


def group_of(*descriptions: str, timekeeper: str = "A. Harrow") -> LineGroup:
    lines = tuple(
        dataclasses.replace(fee(0), id=str(number), description=text, timekeeper=timekeeper, task_code="")
        for number, text in enumerate(descriptions)
    )
    return LineGroup(LineKind.FEE, lines, Money(0, "USD"), Decimal(0))


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("", 10, 0),
        ("abc", 10, 1),
        ("a" * 10, 10, 1),
        ("a" * 11, 10, 2),
        ("a\n\nb", 10, 3),
        ("契約書の確認", 10, 2),
    ],
)
def test_printed_lines_are_estimated_from_letters_and_breaks(text: str, columns: int, expected: int) -> None:
    assert printed_lines(text, columns) == expected


@pytest.mark.parametrize(
    ("descriptions", "expected"),
    [
        (["call"] * 6, True),
        (["call"] * 7, False),
        (["a" * 180], True),
        (["a" * 180] * 2, False),
        (["a\n" * 12], False),
    ],
)
def test_a_group_is_short_by_its_height_and_not_by_its_count(descriptions: list[str], expected: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    assert is_short(group_of(*descriptions), wide=False) is expected


def test_amounts_of_many_digits_leave_less_room_for_the_description() -> None:
    group = group_of("a" * 350)
    assert is_short(group, wide=False)
    assert not is_short(group, wide=True)


def test_a_row_is_tall_by_its_description_or_its_timekeeper() -> None:
    for group, tall in (
        (group_of("a" * 600), False),
        (group_of("a" * 900), True),
        (group_of("契" * 450), True),
        (group_of("call", timekeeper="W" * 255), True),
    ):
        assert is_tall(group.lines[0], group, wide=False) is tall


@pytest.mark.parametrize(
    ("text", "head_ends", "tail_begins"),
    [
        ("word " * 300, "word", "word"),
        ("One two three. " * 100, "three.", "One"),
        ("Eins\n" * 100, "Eins", "Eins"),
        ("契約書。" * 200, "。", "契"),
        ("x" * 1000, "x", "x"),
        ("e\u0301" * 1000, "\u0301", "e"),
        ("\u0301" * 1000, "\u0301", "\u0301"),
    ],
)
def test_a_tall_description_is_cut_where_reading_pauses_and_keeps_every_letter(
    text: str, head_ends: str, tail_begins: str
) -> None:
    group = group_of(text)
    parts = last_part(group.lines[0], group, wide=False)
    assert parts is not None
    head, tail = parts
    assert head.endswith(head_ends)
    assert tail.startswith(tail_begins)
    assert "".join((head + tail).split()) == "".join(text.split())
    assert 3 <= printed_lines(tail, 39) <= 9


def test_a_description_that_is_not_tall_stays_in_one_row() -> None:
    for group in (group_of("a" * 600), group_of("", timekeeper="W" * 255)):
        assert last_part(group.lines[0], group, wide=False) is None


def test_only_the_last_row_of_a_group_is_printed_in_two_parts() -> None:
    printed = SAMPLES["ordinary"]()
    tall = group_of("one two " * 200, "One two three. " * 100)
    html = DocumentTemplate().invoice_html(dataclasses.replace(printed, groups=(tall,)))
    assert html.count("last-part") == 1
    assert html.count("One two three.") == 100
    assert html.count(formats_of(locale_of("en"))["plain_money"](tall.lines[1].amount)) == 2


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ("", False),
        ("\n".join("x" * 12), False),
        ("\n".join("x" * 13), True),
        ("x" * 408, False),
        ("x" * 409, True),
    ],
)
def test_more_than_twelve_lines_of_bank_details_are_long(details: str, expected: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    assert has_long_bank_details(details) is expected


def test_yen_have_no_decimals() -> None:
    formats = formats_of(locale_of("en"))
    assert (formats["money"](Money(1200, "JPY")), formats["plain_money"](Money(1200, "JPY"))) == (
        "¥1,200",
        "1,200",
    )


def test_hours_keep_what_was_recorded() -> None:
    formats = formats_of(locale_of("en"))
    assert [formats["hours"](Decimal(text)) for text in ("0.1", "1234.5", "0.125")] == [
        "0.10",
        "1,234.50",
        "0.125",
    ]


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sample_is_drawn_in_every_language(name: str, language: str) -> None:
    from dataclasses import replace

    html = DocumentTemplate().invoice_html(replace(SAMPLES[name](), language=language))
    assert f'<html lang="{language}">' in html


def test_text_never_becomes_markup() -> None:
    html = DocumentTemplate().invoice_html(hostile())
    assert "<script" not in html
    assert "<b>" not in html
    assert 'src="http' not in html
    assert html.count("&lt;script&gt;") >= 10


def test_a_credit_is_called_a_credit_and_nothing_is_asked_for() -> None:
    html = DocumentTemplate().invoice_html(SAMPLES["credit"]())
    assert "Saldo a su favor" in html
    assert "4.522,58" in html
    assert "-4.522,58" not in html
    assert "Cómo pagar" not in html


def test_what_is_internal_is_never_printed() -> None:
    source = (TEMPLATES / "invoice.html").read_text(encoding="utf-8")
    assert not {"cost_price", "markup_percent", "internal_notes"} & set(source.replace(".", " ").split())
    assert "| safe" not in source
    assert "|safe" not in source


def test_the_version_follows_every_file(tmp_path: Path) -> None:
    versions: set[str] = set()
    for name, text in [
        ("invoice.html", "a"),
        ("invoice.css", "a"),
        ("labels/en.toml", "a"),
        ("labels/en.toml", "b"),
    ]:
        directory = tmp_path / str(len(versions))
        for earlier in ("invoice.html", "invoice.css", "labels/en.toml"):
            (directory / earlier).parent.mkdir(parents=True, exist_ok=True)
            (directory / earlier).write_text("")
        (directory / name).write_text(text)
        versions.add(DocumentTemplate(directory).version)
    assert len(versions) == 4
