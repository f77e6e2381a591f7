from collections.abc import Mapping
from dataclasses import replace

import pytest

from billing.documents.template import TEMPLATES, DocumentTemplate
from billing.documents.template_override import FirmTemplate, TemplateRefused
from billing.errors import RenderFailed
from tests.integration.render_pdf.sample_invoices import SAMPLES, hostile, ordinary

HTML = (TEMPLATES / "invoice.html").read_text("utf-8")
CSS = (TEMPLATES / "invoice.css").read_text("utf-8")
CLIENT = "{{ invoice.client.name }}"


def refusal(files: Mapping[str, str | bytes]) -> str:
    with pytest.raises(TemplateRefused) as caught:
        template(files)
    return str(caught.value)


def template(files: Mapping[str, str | bytes]) -> FirmTemplate:
    return FirmTemplate(
        {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    )


def test_our_own_files_as_the_firms_make_the_same_document() -> None:
    firms = template({"invoice.html": HTML, "invoice.css": CSS})
    for sample in SAMPLES.values():
        assert firms.invoice_html(sample()) == DocumentTemplate().invoice_html(sample())
    assert firms.style == DocumentTemplate().style


def test_what_the_firm_has_no_file_of_is_ours() -> None:
    only_style = template({"invoice.css": "h1 { color: red }"})
    assert only_style.style == "h1 { color: red }"
    assert only_style.invoice_html(ordinary()) == DocumentTemplate().invoice_html(ordinary())
    only_html = template({"invoice.html": "<h1>{{ invoice.number }}</h1>"})
    assert only_html.invoice_html(ordinary()) == "<h1>2026-0147</h1>"
    assert only_html.style == DocumentTemplate().style
    assert only_html.receipt_version == DocumentTemplate().receipt_version


def test_parts_can_be_included() -> None:
    firms = template({"invoice.html": "{% include 'head.html' %}!", "head.html": CLIENT})
    assert firms.invoice_html(ordinary()) == "Zoë Müller-Østergård Holdings, Inc.!"


def test_labels_of_the_firm_replace_ours_one_by_one() -> None:
    firms = template({"labels/en.toml": 'invoice = "Fee note"\n[groups]\nfee = "Work"'})
    assert firms.title(ordinary()) == "Fee note 2026-0147"
    html = firms.invoice_html(ordinary())
    assert "Work" in html
    assert "Expenses and disbursements" in html
    assert firms.title(replace(ordinary(), language="de")) == "Rechnung 2026-0147"


def test_every_byte_of_the_firms_and_of_ours_is_part_of_the_version() -> None:
    versions = {
        template(files).version
        for files in (
            {"invoice.css": "a{}"}, {"invoice.css": "b{}"}, {"invoice.html": "a{}"}, {"invoice.html": "a", "b.html": "{}"},
            {"invoice.html": "a", "c.html": "{}"}, {"invoice.css": "a{}", "labels/en.toml": 'invoice = "Bill"'},
        )
    }  # fmt: skip
    assert len(versions | {DocumentTemplate().version}) == 7
    assert template({"invoice.css": "a{}"}).version == template({"invoice.css": "a{}"}).version


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "there is no invoice.html, invoice.css or labels/<language>.toml"),
        ({"head.html": ""}, "there is no invoice.html, invoice.css or labels/<language>.toml"),
        ({"invoice.css": "", "Invoice.htm": ""}, "Invoice.htm is none of invoice.html, invoice.css, other .html files"),
        ({"labels/xx.toml": ""}, "labels/xx.toml is none of"),
        ({"invoice.html": b"\xff\xfe"}, "invoice.html is not written in UTF-8"),
        ({"invoice.html": "a\n{% for %}"}, "invoice.html, line 2: Expected an expression"),
        ({"invoice.html": "{{ x | nothing }}"}, "invoice.html, line 1: No filter named 'nothing'"),
        ({"invoice.html": "a", "head.html": "{{"}, "head.html, line 1: "),
        ({"labels/en.toml": "invoice ="}, "labels/en.toml is no TOML"),
        ({"labels/en.toml": "invoices = 'x'"}, "labels/en.toml: there is no label invoices"),
        ({"labels/en.toml": "invoice = 1"}, "labels/en.toml: invoice must be a text"),
        ({"labels/en.toml": "groups = 'x'"}, "labels/en.toml: there is no label groups"),
        ({"labels/en.toml": "[groups]\nfees = 'x'"}, "labels/en.toml, groups: there is no label fees"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used_are_refused_by_name(files: Mapping[str, str | bytes], reason: str) -> None:
    assert refusal(files).startswith(reason)


@pytest.mark.parametrize(
    "markup",
    [
        "{{ invoice.client.name | safe }}",
        "{{ invoice.client.name | urlize }}",
        "{{ invoice | tojson }}",
        "{{ invoice | pprint }}",
        "{% autoescape false %}{{ invoice.client.name }}{% endautoescape %}",
        "{% if true %}{% autoescape invoice.none %}x{% endautoescape %}{% endif %}",
    ],
)
def test_what_would_turn_text_into_markup_is_refused(markup: str) -> None:
    assert "invoice.html, line 1" in refusal({"invoice.html": markup})


@pytest.mark.parametrize(
    "markup",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ invoice.__init__.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ invoice['__class__'] }}",
        "{{ [invoice] | map(attribute='__class__') | list }}{{ nothing }}",
        "{{ '{0.__class__}'.format(invoice) }}",
        "{{ lipsum() }}",
        "{{ cycler.__init__ }}",
        "{{ [invoice.client.name] | map('safe') | first }}",
        "{% include '../../../etc/passwd' %}",
        "{% include 'invoice.css' %}",
        "{% set _ = invoice.groups.append(1) %}",
        "{{ range(1000000) | list }}",
    ],
)  # fmt: skip
def test_a_template_reaches_nothing_but_the_invoice(markup: str) -> None:
    firms = template({"invoice.html": markup})
    with pytest.raises(RenderFailed) as caught:
        firms.invoice_html(ordinary())
    assert "line 1" in caught.value.detail or "TemplateNotFound" in caught.value.detail


TRICKS = [
    "{{ '<b>' ~ invoice.client.name }}",
    "{{ ('<b>' + invoice.client.name) | upper }}",
    "{% set m %}<p>{% endset %}{{ m + invoice.client.name }}",
    "{% set m %}<p>{% endset %}{{ m.join([invoice.client.name, invoice.client.name]) }}",
    "{% set m %}<p>%s{% endset %}{{ m % invoice.client.name }}",
    "{% set m %}{}{% endset %}{{ m.format(invoice.client.name) }}",
    "{% set m %}{{ invoice.client.name }}{% endset %}{{ m.unescape() }}",
    "{% set m %}{{ invoice.client.name }}{% endset %}{{ m.striptags() }}",
    "{% set m %}X{% endset %}{{ m | replace('X', invoice.client.name) }}",
    "{% macro f(x) %}{{ x }}{% endmacro %}{{ f(invoice.client.name) }}{% call f('') %}{% endcall %}",
    "{{ [invoice.client.name] | join('<br>') }}",
    "{{ invoice.client.name | reverse }}{{ invoice.client.name | list | join }}",
    "{% filter upper %}{{ invoice.client.name }}{% endfilter %}",
    "{{ invoice.client.name | escape | string }}",
]


@pytest.mark.parametrize("markup", TRICKS)
def test_text_stays_text_whatever_is_done_with_it(markup: str) -> None:
    try:
        html = template({"invoice.html": markup}).invoice_html(hostile()).lower()
    except RenderFailed:
        return  # refused is as good
    for tag in ("<script", "<img", "<style", "<svg", "<b>", "tpircs<", ">tpircs"):
        assert tag not in html


def test_a_template_that_breaks_on_one_invoice_says_so_without_telling_the_log() -> None:
    firms = template({"invoice.html": "\n{{ 1 // (invoice.client.name | length - 35) }}"})
    assert firms.invoice_html(replace(ordinary(), client=replace(ordinary().client, name="short")))
    with pytest.raises(RenderFailed) as caught:
        firms.invoice_html(ordinary())
    where = "ZeroDivisionError, invoice.html, line 2"
    assert caught.value.detail == f"The firm's own template cannot be filled in ({where})."
    quoting = template({"invoice.html": "{{ invoice.nothing[invoice.client.name] }}"})
    with pytest.raises(RenderFailed) as caught:
        quoting.invoice_html(ordinary())
    assert "Zoë" not in caught.value.detail


def test_what_breaks_in_an_included_file_is_looked_for_there() -> None:
    firms = template({"invoice.html": "{% include 'foot.html' %}", "foot.html": "\n\n{{ invoice.nothing }}"})
    with pytest.raises(RenderFailed) as caught:
        firms.invoice_html(ordinary())
    assert "(UndefinedError, foot.html, line 3)" in caught.value.detail
