"""Waiting for the seed data's PDFs, and what is derived from the day of seeding."""

import datetime as dt
from pathlib import Path

import yaml

from local.directus_content import wait_until_drawn
from local.seed import program
from local.seed.program import invoice_number


def test_a_start_waits_until_every_pdf_is_drawn_and_says_how_far_it_is() -> None:
    said: list[str] = []
    looks = iter(
        [
            {"a": "none", "b": "pending"},
            {"a": "none", "b": "ready"},
            {"a": "ready", "b": "ready"},
            {"a": "ready", "b": "ready"},
        ]
    )
    wait_until_drawn(["a", "b"], lambda: next(looks), say=said.append, pause=0)
    assert said == ["    1 of 2 seed PDFs rendered", "    2 of 2 seed PDFs rendered"]


def test_a_pdf_that_fails_is_named_and_not_waited_for() -> None:
    said: list[str] = []
    wait_until_drawn(["a", "b"], lambda: {"a": "failed", "b": "ready"}, say=said.append, pause=0)
    assert said[-1] == "    1 seed PDFs failed; the invoices' pdf_error says why: a"


def test_the_wait_is_bounded() -> None:
    said: list[str] = []
    wait_until_drawn(["a"], lambda: {"a": "pending"}, say=said.append, seconds=0, pause=0)
    assert said == ["    continuing after 0 s; the others are still rendering"]


def test_an_invoice_number_has_the_year_it_was_issued_in() -> None:
    assert invoice_number("HNO-0087", dt.date(2026, 12, 31)) == "HNO-2026-0087"
    assert invoice_number("HNO-0087", dt.date(2027, 1, 1)) == "HNO-2027-0087"


def test_no_invoice_of_the_seed_data_names_a_year_of_its_own() -> None:
    text = (Path(program.__file__).parent / "data/invoices.yaml").read_text("utf-8")
    for invoice in yaml.safe_load(text)["invoices"]:
        for payment in invoice.get("payments", []):
            assert "20" not in payment["reference"].format(day=dt.date(1999, 1, 1)), invoice["number"]
