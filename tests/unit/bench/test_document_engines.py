"""How the engines are started, asked and read; no engine is needed for it."""

import sys
import time
from pathlib import Path
from typing import Any

import pikepdf
import pytest

import billing.money
from bench.documents import chromium, invoices, worker
from bench.documents.comparison import Comparison, Plan, plan
from bench.documents.engines import (
    CHROMIUM,
    LIMITED,
    OURS,
    STOCK,
    STOCK_WITHOUT_BYTE_CODE,
    Contestant,
    contestants,
)
from bench.documents.figures import Spent
from bench.documents.pdf_claims import claims
from bench.documents.process import EngineFailed, EngineProcess
from bench.documents.software import Software, required_name, with_requirements
from bench.documents.stock import Stock
from billing.documents.template import TEMPLATES, DocumentTemplate
from local.setup.paths import ROOT


@pytest.fixture
def engines(tmp_path: Path) -> dict[str, Contestant]:
    chosen = Software(
        description="",
        packages=tmp_path / "packages",
        others=(tmp_path / "billing",),
        without_byte_code=tmp_path / "bare",
        templates=TEMPLATES,
        fonts=tmp_path / "fonts",
        variables={"PATH": "/nothing", "LD_LIBRARY_PATH": "/opt/lib"},
    )
    return {one.name: one for one in contestants(chosen)}


def test_stock_weasyprint_cannot_find_anything_of_ours(
    engines: dict[str, Contestant], tmp_path: Path
) -> None:
    assert engines[STOCK].variables["PYTHONPATH"] == f"{tmp_path / 'packages'}:{ROOT}"
    assert engines[STOCK_WITHOUT_BYTE_CODE].variables["PYTHONPATH"] == f"{tmp_path / 'bare'}:{ROOT}"
    assert not (ROOT / "billing").exists()
    assert str(tmp_path / "billing") in engines[OURS].variables["PYTHONPATH"]


def test_stock_weasyprint_is_not_measured_where_ours_is_loaded() -> None:
    assert billing.money.__name__ in sys.modules
    with pytest.raises(AssertionError):
        Stock().prepare()


def test_ours_and_stock_have_the_same_interpreter_libraries_and_options(
    engines: dict[str, Contestant],
) -> None:
    several = [engines[name] for name in (OURS, LIMITED, STOCK, STOCK_WITHOUT_BYTE_CODE)]
    assert len({tuple(one.command[:-1]) for one in several}) == 1
    others = [{key: one.variables[key] for key in one.variables if key != "PYTHONPATH"} for one in several]
    assert others == [others[0]] * 4


def test_the_documentation_names_every_engine_and_every_variable(engines: dict[str, Contestant]) -> None:
    text = (ROOT / "docs/benchmarks.md").read_text()
    for name in (*engines, CHROMIUM, "BILLING_BENCH_RENDER_ROUNDS", "BILLING_BENCH_RENDER_LINES"):
        assert f"| {name}" in text or f"{name}=" in text, name


@pytest.mark.parametrize(
    ("requirement", "name"),
    [("fonttools[woff]>=4.59.2", "fonttools"), ('zopfli ; python_version > "3"', "zopfli"), ("cffi", "cffi")],
)
def test_a_requirement_names_a_distribution(requirement: str, name: str) -> None:
    assert required_name(requirement) == name


def test_a_distribution_comes_with_all_it_requires_and_no_extras() -> None:
    found = {one.name.lower() for one in with_requirements("jinja2")}
    assert found == {"jinja2", "markupsafe"}


def test_rounds_and_sizes_are_read_from_the_environment() -> None:
    assert plan({}) == Plan(5, (10, 100, 1_000, 5_000))
    chosen = {"BILLING_BENCH_RENDER_ROUNDS": "2", "BILLING_BENCH_RENDER_LINES": "10,150"}
    assert plan(chosen) == Plan(2, (10, 150))


def test_short_invoices_are_drawn_more_often_than_long_ones_and_the_longest_once() -> None:
    usual = plan({})
    assert [usual.warm_rounds(lines) for lines in usual.lines] == [15, 15, 3, 0]
    assert [Plan(1, ()).warm_rounds(lines) for lines in usual.lines] == [3, 3, 1, 0]


def test_every_warm_invoice_has_other_words_in_every_line_and_the_same_amounts() -> None:
    first, second, third = (list(words(invoices.invoice(12, number))) for number in range(3))
    assert len(first) == 12
    assert not {text for text, _ in first} & {text for text, _ in second}
    assert not {text for text, _ in second} & {text for text, _ in third}
    assert [amount for _, amount in first] == [amount for _, amount in third]


def words(printed: Any) -> Any:
    return ((line.description, line.amount) for group in printed.groups for line in group.lines)


def test_the_texts_of_an_invoice_are_those_that_our_template_prints() -> None:
    printed, template = invoices.invoice(12, 1), DocumentTemplate()
    html = template.invoice_html(printed)
    texts = invoices.texts(printed, template)
    rows = [cell for group in texts["groups"] for row in group["rows"] for cell in row]
    pairs = [cell for name in ("facts", "totals") for pair in texts[name] for cell in pair]
    printed_text = html.replace('<span class="quiet">', "").replace("</span>", "").replace("&amp;", "&")
    for text in (*rows, *pairs, *texts["client"], *texts["letterhead"], *texts["bank"], texts["footer"]):
        assert text in printed_text


class Pretended:
    """An engine whose figures all differ, so that none can be taken for another."""

    def __init__(self) -> None:
        self.processor = 0.0
        self.said: list[str] = []

    def load(self) -> None:
        self.processor += 3

    def prepare(self) -> None:
        self.processor += 5

    def read(self, document: Path) -> str:
        self.processor += 100  # not timed
        return document.name

    def watch(self, *, wanted: bool) -> None:
        self.said.append(f"watch {wanted}")

    def draw(self, document: str) -> bytes:
        self.processor += 7
        return document.encode()

    def finish(self) -> None:
        self.processor += 100
        self.said.append("finished")

    def processor_seconds(self) -> float:
        return self.processor

    def peak_bytes(self) -> int:
        self.said.append("peak")
        return 11

    def close(self) -> None:
        self.said.append("closed")


def test_the_worker_times_the_import_and_the_rest_of_the_start_apart() -> None:
    answer = worker.start(Pretended())
    assert (answer["imported"]["processor"], answer["prepared"]["processor"]) == (3, 5)
    assert 0 <= answer["imported"]["wall"] < 1


def test_the_worker_times_the_drawing_alone_and_keeps_the_file(tmp_path: Path) -> None:
    engine = Pretended()
    asked = {"do": "draw", "document": "/data/10-0", "pdf": str(tmp_path / "a.pdf"), "watch": True}
    answer = worker.draw(engine, asked)
    assert answer["drawn"]["processor"] == 7
    assert (answer["peak_bytes"], answer["file_bytes"]) == (11, 4)
    assert (tmp_path / "a.pdf").read_bytes() == b"10-0"
    assert engine.said == ["watch True", "peak", "finished"]


ANSWERS = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    spent = {"wall": 1.5, "processor": 0.5}
    print(json.dumps({"imported": spent, "prepared": spent, "drawn": spent, "peak_bytes": 5, "file_bytes": 6}), flush=True)
"""


def contestant(program: str) -> Contestant:
    return Contestant("an engine", [sys.executable, "-c", program, "bench.documents.pretended"], {}, "")


def test_a_cold_start_is_timed_from_outside_as_well(tmp_path: Path) -> None:
    began = time.perf_counter()
    with EngineProcess(contestant(ANSWERS), tmp_path) as process:
        start = process.cold_start(tmp_path / "10-0")
    assert start.imported == start.prepared == start.first
    assert start.first.wall == 1.5
    assert 0 < start.elapsed <= time.perf_counter() - began


@pytest.mark.parametrize(
    "program", ["raise SystemExit('there is no such library')", "input(); 1 / 0  # there is no such library"]
)
def test_an_engine_that_ends_instead_of_answering_is_quoted(tmp_path: Path, program: str) -> None:
    process = EngineProcess(contestant(program), tmp_path)
    with process, pytest.raises(EngineFailed, match=r"(?s)an engine ended .*there is no such library"):
        process.start()


def test_an_engine_that_fails_is_dropped_and_the_others_go_on(tmp_path: Path) -> None:
    blank = pikepdf.new()
    blank.add_blank_page()
    blank.save(tmp_path / "pretended.pdf")  # what the engine that answers is taken to have drawn
    failing = Contestant("broken", contestant("raise SystemExit('no such library')").command, {}, "")
    said: list[str] = []
    comparison = Comparison(Plan(1, (4,)), [failing, contestant(ANSWERS)], tmp_path, TEMPLATES, said.append)
    comparison.run()
    assert [one.name for one in comparison.running] == ["an engine"]
    assert "no such library" in comparison.failed["broken"]
    assert [len(starts) for starts in comparison.figures.cold.values()] == [1]
    assert comparison.figures.documents["an engine", 4].warm == [Spent(1.5, 0.5)] * 3
    assert any("no such library" in line for line in said)


def test_claims_are_read_from_the_file(tmp_path: Path) -> None:
    pdf = pikepdf.new()
    pdf.add_blank_page()
    pdf.save(tmp_path / "bare.pdf")
    assert claims(tmp_path / "bare.pdf").sentence == "no PDF/A, no tags; "
    cells = [
        pikepdf.Dictionary(
            S=pikepdf.Name.TH, A=pikepdf.Dictionary(O=pikepdf.Name.Table, Scope=pikepdf.Name.Row)
        ),
        pikepdf.Dictionary(S=pikepdf.Name.TH),
        pikepdf.Dictionary(S=pikepdf.Name.TD),
    ]
    row = pikepdf.Dictionary(S=pikepdf.Name.TR, K=pikepdf.Array(cells))
    pdf.Root.StructTreeRoot = pikepdf.Dictionary(K=pikepdf.Dictionary(S=pikepdf.Name.Table, K=row))
    with pdf.open_metadata() as metadata:
        metadata["pdfaid:part"], metadata["pdfaid:conformance"] = "3", "B"
        metadata["{http://www.aiim.org/pdfua/ns/id/}part"] = "1"
    pdf.save(tmp_path / "tagged.pdf")
    read = claims(tmp_path / "tagged.pdf")
    assert read.sentence == "PDF/A-3b, PDF/UA-1, tagged, 1 of 2 header cells with a scope; "


def test_a_browsers_processes_are_counted_only_if_they_are_a_browsers() -> None:
    engine = chromium.Chromium()
    assert engine.processor_seconds() == 0  # this process is none, and has none
    engine.watch(wanted=True)
    assert engine.peak_bytes() == 0
