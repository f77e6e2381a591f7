"""The auditor finds what he must find: lost, doubled, invented, different."""

from collections.abc import Sequence

from bench.books import Findings

EXPECTED = {"cs_1": ("invoice", "10.00"), "cs_2": ("invoice", "20.00")}
FOUND = [("cs_1", ("invoice", "10.00")), ("cs_2", ("invoice", "20.00"))]


def compared(found: Sequence[tuple[str, tuple[str, ...]]]) -> Findings:
    findings = Findings()
    findings.compare("payment", EXPECTED, found)
    return findings


def test_all_is_well_when_each_fact_is_one_row() -> None:
    findings = compared(FOUND)
    assert findings.all_is_well
    assert findings.compared == {"payment": 2}


def test_a_missing_row_is_lost() -> None:
    findings = compared(FOUND[:1])
    assert (len(findings.lost), len(findings.doubled), len(findings.different)) == (1, 0, 0)
    assert findings.sentences()[0].startswith("lost: payment cs_2")


def test_a_row_that_is_there_twice_is_doubled() -> None:
    findings = compared([*FOUND, FOUND[0]])
    assert (len(findings.lost), len(findings.doubled), len(findings.different)) == (0, 1, 0)


def test_a_row_of_nobody_is_doubled() -> None:
    findings = compared([*FOUND, ("cs_3", ("invoice", "10.00"))])
    assert (len(findings.lost), len(findings.doubled), len(findings.different)) == (0, 1, 0)
    assert not findings.all_is_well


def test_a_cent_makes_a_difference() -> None:
    findings = compared([FOUND[0], ("cs_2", ("invoice", "20.01"))])
    assert (len(findings.lost), len(findings.doubled), len(findings.different)) == (0, 0, 1)
