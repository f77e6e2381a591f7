"""What the demo must notice, with a firm that answers as it is told."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from httpx import ConnectError

from local.demo.__main__ import EXPECTED, Demo, reason
from local.demo.people import Answer, Person
from local.demo.steps import Firm
from local.problem import Problem

INVOICE = "0b1f2c3d-0000-4000-8000-000000000001"
PAYMENT = "0b1f2c3d-0000-4000-8000-000000000002"


@dataclass
class Ledger(Person):
    """An administrator who sees one payment."""

    def list(self, collection: str, condition: dict[str, Any], fields: str = "*") -> list[dict[str, Any]]:
        assert (collection, condition, fields) == ("payments", {"invoice": {"_eq": INVOICE}}, "*")
        return [{"id": PAYMENT, "checkout_session": "cs_test_1"}]


@dataclass(frozen=True)
class ScriptedFirm(Firm):
    """Reconcile answers `differences`; what the simulator is told is kept."""

    differences: list[dict[str, Any]] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        assert (function, event) == ("reconcile", {})
        return {"checked": {"sessions": 1}, "repaired": [], "differences": self.differences}

    def simulator(self, method: str, path: str, body: Any = None) -> Answer:
        assert (method, path) == ("POST", "/_test/deliveries")
        self.told.append(body)
        return Answer(200, b"{}")


def demo_with(tmp_path: Path, *differences: dict[str, Any]) -> Demo:
    firm = ScriptedFirm({"directus": {"url": "http://127.0.0.1:1"}}, list(differences))
    firm.__dict__["administrator"] = Ledger("http://127.0.0.1:1")
    demo = Demo(firm, tmp_path)
    demo.invoices.append(INVOICE)
    return demo


@pytest.mark.parametrize(
    "names", [{"invoice": INVOICE}, {"payment": PAYMENT}, {"checkout_session": "cs_test_1"}]
)
def test_a_difference_about_the_demos_invoice_fails_it(tmp_path: Path, names: dict[str, str]) -> None:
    demo = demo_with(tmp_path, {"kind": "amount_differs", "detail": "150.00, not 100.00", **names})
    with pytest.raises(Problem, match=r"do not agree about the demo's invoices: .*amount_differs"):
        demo.reconcile()


def test_a_difference_about_another_invoice_does_not(tmp_path: Path) -> None:
    other = {
        "kind": "unapplied_payment",
        "detail": "12.00",
        "payment": "0b1f2c3d-0000-4000-8000-000000000009",
    }
    demo_with(tmp_path, other).reconcile()


def test_webhooks_come_once_again_when_a_step_fails(tmp_path: Path) -> None:
    demo = demo_with(tmp_path)
    with pytest.raises(Problem, match="declined"), demo.delivered_twice():
        raise Problem("The page took a card that is declined.")
    assert isinstance(demo.firm, ScriptedFirm)
    assert demo.firm.told == [{"duplicate": 1}, {"duplicate": 0}]


def test_a_failing_step_is_named(tmp_path: Path) -> None:
    demo = demo_with(tmp_path, {"kind": "x", "detail": "", "invoice": INVOICE})
    with pytest.raises(Problem):
        demo.reconcile()
    assert demo.where == "in step 1, 'Stripe and Directus are compared'"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Problem("The PDF failed."), "The PDF failed."),
        (KeyError("url"), "an answer has no 'url'."),
        (
            ConnectError("No connection."),
            "No connection.",
        ),
    ],
)
def test_whatever_a_program_of_the_stack_does_wrong_is_one_plain_reason(
    error: Exception, sentence: str
) -> None:
    assert isinstance(error, EXPECTED)
    assert sentence in reason(error)
    assert "\n" not in reason(error)
