"""What `make check-template` looks for in filled-in templates, and what it says."""

import logging
from pathlib import Path

import pytest

from billing.documents.invoice import LANGUAGES
from billing.documents.template import TEMPLATES
from billing.documents.template_override import FirmTemplate, TemplateRefused
from local.check_template.__main__ import main
from local.check_template.filled import check_filled
from local.check_template.samples import template_samples

HTML = (TEMPLATES / "invoice.html").read_text("utf-8")
CLIENT = "{{ invoice.client.name }}"


def filled(html: str) -> None:
    firms = FirmTemplate({"invoice.html": html.encode()})
    for printed in template_samples().values():
        check_filled(firms.invoice_html(printed), printed)


def test_our_own_template_passes_every_check() -> None:
    filled(HTML)


def test_the_samples_speak_every_language_and_show_every_kind() -> None:
    samples = template_samples().values()
    assert {sample.language for sample in samples} == set(LANGUAGES)
    assert {(sample.balance_due.minor > 0) - (sample.balance_due.minor < 0) for sample in samples} == {
        -1,
        0,
        1,
    }
    assert {bool(sample.logo_sha256) for sample in samples} == {True, False}
    assert {group.kind.value for sample in samples for group in sample.groups} == {
        "fee",
        "expense",
        "discount",
    }


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        (f"<style>p::before {{ content: '{CLIENT}' }}</style>", "it puts what somebody typed into a <style>"),
        (f"<script>{CLIENT}</script>", "it puts what somebody typed into a <script>"),
        (f'<p style="{CLIENT}">', "it puts what somebody typed into the attribute style of <p>"),
        (f'<a href="{CLIENT}">x</a>', "it puts what somebody typed into the attribute href of <a>"),
        (f'<p class="{CLIENT}">', "it puts what somebody typed into the attribute class of <p>"),
        (f"<p title={CLIENT}>", "it puts what somebody typed into the attribute "),
        (f"<{CLIENT}>", "it "),
    ],
)  # fmt: skip
def test_text_is_kept_out_of_styles_and_addresses(markup: str, reason: str) -> None:
    with pytest.raises(TemplateRefused) as caught:
        filled(HTML.replace("</h1>", f"</h1>{markup}", 1))
    assert reason in str(caught.value)


DESCRIPTION = "{{ last_parts[line.id][0] if line.id in last_parts else line.description }}"


@pytest.mark.parametrize(
    ("without", "what"),
    [
        (CLIENT, "the client's name"),
        (DESCRIPTION, "every line's description"),
        ("{{ line.amount | plain_money }}", "every line's amount"),
        ("{{ balance_shown | money }}", "the balance"),
    ],
)
def test_a_template_that_leaves_out_what_an_invoice_must_say_is_refused(without: str, what: str) -> None:
    assert without in HTML
    with pytest.raises(TemplateRefused) as caught:
        filled(HTML.replace(without, ""))
    assert f"it does not print {what}" in str(caught.value)


def test_without_a_folder_it_says_how_it_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([], [""], [str(tmp_path / "missing")], [str(tmp_path), str(tmp_path)]):
        assert main(arguments) == 1
        assert "make check-template FOLDER=" in capsys.readouterr().err
    assert logging.getLogger("weasyprint").isEnabledFor(logging.ERROR), (
        "what it reports decides about a template"
    )


def test_a_folder_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 1
    reason = "there is no invoice.html, invoice.css or labels/<language>.toml"
    assert capsys.readouterr() == ("", f"The template in {tmp_path} cannot be used: {reason}.\n")
