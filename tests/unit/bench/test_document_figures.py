"""The pure parts of the comparison of engines: medians, ratios, targets, tables."""

from dataclasses import replace
from itertools import pairwise

import pytest

from bench.documents.columns import columns
from bench.documents.engines import CHROMIUM, LIMITED, OURS, STOCK, STOCK_WITHOUT_BYTE_CODE, Contestant
from bench.documents.figures import ColdStart, Document, Figures, Spent, median, ratio
from bench.documents.pdf_claims import Claims
from bench.documents.report import report
from bench.documents.targets import Target, targets

NOTHING = Spent(0, 0)


def cold(wall: float, processor: float) -> ColdStart:
    return ColdStart(Spent(wall, processor), NOTHING, Spent(wall * 2, processor * 2), wall * 4)


def document(lines: int, processor: float, megabytes: float = 50, wall: float | None = None) -> Document:
    usual = Spent(processor if wall is None else wall, processor)
    first = Spent(usual.wall + 1, usual.processor + 1)
    return Document(lines, first, int(megabytes * 1_000_000), 53_000, 2, [usual])


def at_the_bounds() -> Figures:
    figures = Figures(html={10: 0.001, 1_000: 0.03, 5_000: 0.2})
    figures.cold = {
        OURS: [cold(0.3, 0.3)],
        LIMITED: [cold(0.3, 0.3)],
        STOCK: [cold(0.6, 0.6)],
        STOCK_WITHOUT_BYTE_CODE: [cold(2, 2)],
    }
    for engine, memory in ((OURS, (89.9, 219.9)), (LIMITED, (80, 200))):
        figures.documents |= {
            (engine, 10): document(10, 0.1, memory[0]),
            (engine, 1_000): document(1_000, 4, memory[1]),
            (engine, 5_000): document(5_000, 23),
        }
    figures.documents |= {
        (STOCK, 10): document(10, 0.2),
        (STOCK, 1_000): document(1_000, 8),
        (CHROMIUM, 10): document(10, 0.5, wall=0.11),
    }
    return figures


def named(figures: Figures, part: str) -> Target:
    return next(target for target in targets(figures) if part in target.name)


def test_the_median_of_the_clock_and_of_the_processor_are_taken_by_themselves() -> None:
    assert median([Spent(1, 30), Spent(2, 10), Spent(9, 20)]) == Spent(2, 20)


def test_a_ratio_needs_both_its_sides() -> None:
    assert ratio(1, 4) == 0.25
    assert ratio(None, 4) is None
    assert ratio(1, None) is None
    assert ratio(1, 0) is None


def test_a_document_costs_what_it_costs_when_warm_and_what_the_first_one_did_if_there_is_no_other() -> None:
    drawn = document(1_000, 8)
    assert drawn.usual == Spent(8, 8)
    assert drawn.milliseconds_per_line == 8
    assert replace(drawn, warm=[]).milliseconds_per_line == 9


def test_every_target_is_met_at_its_bound() -> None:
    assert {target.name: target.verdict for target in targets(at_the_bounds()) if not target.met} == {}


def test_there_are_targets_for_import_speed_growth_and_memory() -> None:
    assert [(target.name, target.wanted) for target in targets(Figures())] == [
        ("cold import, clock, of stock, no byte code", "<= 0.15"),
        ("cold import, processor, of stock, no byte code", "<= 0.15"),
        ("cold import, clock, of stock WeasyPrint", "<= 0.5"),
        ("cold import, processor, of stock WeasyPrint", "<= 0.5"),
        ("warm, 10 lines, processor, of stock WeasyPrint", "<= 0.5"),
        ("warm, 10 lines, clock, of stock WeasyPrint", "<= 0.5"),
        ("warm, 10 lines, clock, of warm Chromium", "< 1"),
        ("warm, 1,000 lines, processor, of stock WeasyPrint", "<= 0.5"),
        ("warm, 1,000 lines, clock, of stock WeasyPrint", "<= 0.5"),
        ("ours: processor per line at 5,000, of that at 1,000", "<= 1.15"),
        ("ours, limited: processor per line at 5,000, of that at 1,000", "<= 1.15"),
        ("ours: peak memory, 10 lines", "< 90 MB"),
        ("ours: peak memory, 1,000 lines", "< 220 MB"),
        ("ours, limited: peak memory, 10 lines", "< 90 MB"),
        ("ours, limited: peak memory, 1,000 lines", "< 220 MB"),
    ]


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert {(target.seen, target.verdict) for target in targets(Figures())} == {("not measured", "-")}


@pytest.mark.parametrize(
    ("engine", "lines", "changed", "part", "seen"),
    [
        (OURS, 10, document(10, 0.11), "warm, 10 lines, processor, of stock", "0.55"),
        (OURS, 10, document(10, 0.1, wall=0.11), "10 lines, clock, of stock", "0.55"),
        (OURS, 10, document(10, 0.1, wall=0.11), "of warm Chromium", "1.00"),
        (OURS, 1_000, document(1_000, 4.2), "1,000 lines, processor, of stock", "0.53"),
        (OURS, 5_000, document(5_000, 24), "ours: processor per line", "1.20"),
        (LIMITED, 5_000, document(5_000, 24), "ours, limited: processor per line", "1.20"),
        (OURS, 10, document(10, 0.1, 90), "ours: peak memory, 10 lines", "90 MB"),
        (LIMITED, 1_000, document(1_000, 4, 231), "ours, limited: peak memory, 1,000", "231 MB"),
    ],
)
def test_a_target_that_is_missed_says_by_how_much(
    engine: str, lines: int, changed: Document, part: str, seen: str
) -> None:
    figures = at_the_bounds()
    figures.documents[engine, lines] = changed
    target = named(figures, part)
    assert (target.seen, target.verdict) == (seen, "NOT MET")


def test_the_import_is_held_against_stock_with_byte_code_and_without() -> None:
    figures = at_the_bounds()
    figures.cold[OURS] = [cold(0.32, 0.2), cold(0.32, 0.2), cold(9, 9)]
    verdicts = {target.name: target.verdict for target in targets(figures) if "cold import" in target.name}
    assert verdicts == {
        "cold import, clock, of stock, no byte code": "NOT MET",
        "cold import, processor, of stock, no byte code": "met",
        "cold import, clock, of stock WeasyPrint": "NOT MET",
        "cold import, processor, of stock WeasyPrint": "met",
    }


def test_columns_are_as_wide_as_their_widest_cell_and_long_heads_stand_on_two_lines() -> None:
    assert columns(("import", "its processor"), [("ours", "0.1", "12.000"), ("a long name", "-")]) == [
        "                           its",
        "             import  processor",
        "ours            0.1     12.000",
        "a long name       -",
    ]


def test_a_table_without_long_heads_has_one_line_of_heads() -> None:
    assert columns(("wanted",), [("x", "1")]) == ["   wanted", "x       1"]


def test_the_report_has_every_engine_every_size_what_they_draw_and_the_targets() -> None:
    figures = at_the_bounds()
    engines = [Contestant(name, [], {}, f"{name} lacks this") for name in (OURS, LIMITED, STOCK)]
    engines.append(Contestant(STOCK_WITHOUT_BYTE_CODE, [], {}, "the same", cold_only=True))
    drawn = Claims("3B", accessible=True, tagged=True, headers=23, scoped=22, fonts=("Inter",))
    lines = report(figures, (10, 1_000, 5_000), engines, {engine.name: drawn for engine in engines})
    titles = [line for before, line in pairwise(lines) if before == ""]
    assert titles == [
        "Cold: a fresh process draws 10 lines; seconds, medians of 1",
        "10 lines; seconds, warm: medians of 1",
        "1,000 lines; seconds, warm: medians of 1",
        "5,000 lines; seconds, warm: medians of 1",
        "What is drawn, as each engine's own file says, and what it lacks",
        "Targets (reported, not enforced)",
    ]
    # first document, its processor, warm, its processor, ms a line, of stock, memory, size, pages
    long = [line.split()[1:] for line in lines[lines.index(titles[2]) :] if line.startswith("ours  ")]
    assert long[0] == ["5.000", "5.000", "4.000", "4.000", "4.00", "0.50", "220", "MB", "53", "kB", "2"]
    # five thousand lines were not drawn by stock WeasyPrint here
    assert long[1][4:6] == ["4.60", "-"]
    assert f"{OURS}: PDF/A-3b, PDF/UA-1, tagged, 22 of 23 header cells with a scope; Inter." in lines
    assert "    ours lacks this" in lines


def test_the_report_says_so_if_ours_and_stock_have_not_drawn_the_same() -> None:
    figures = at_the_bounds()
    engines = [Contestant(name, [], {}, "") for name in (OURS, STOCK)]
    drawn = Claims("", accessible=False, tagged=False, headers=0, scoped=0, fonts=())
    claimed = dict.fromkeys((OURS, STOCK), drawn)
    complaint = "OURS HAS 2 PAGES AND STOCK 3: THEY HAVE NOT DRAWN THE SAME."
    assert complaint not in report(figures, (10,), engines, claimed)
    figures.documents[STOCK, 10] = replace(document(10, 0.2), pages=3)
    assert complaint in report(figures, (10,), engines, claimed)
