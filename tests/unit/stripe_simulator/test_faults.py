from pathlib import Path
from typing import Any

import pytest

from local.stripe_simulator import faults
from local.stripe_simulator.faults import Fault, InvalidFault
from local.stripe_simulator.openapi import Operation
from local.stripe_simulator.store import Store

CREATE = Operation("POST", "/v1/checkout/sessions", "PostCheckoutSessions", schemas_known=True)
LIST = Operation("GET", "/v1/checkout/sessions", "GetCheckoutSessions", schemas_known=True)


def test_a_fault_hits_as_often_as_ordered_and_only_its_operation(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    faults.order(store, Fault("lose_answer", count=2, operation="POST /v1/checkout/sessions"))
    faults.order(store, Fault("status", status=429))
    assert [fault.fault for fault in faults.ordered(store)] == ["lose_answer", "status"]
    hits = [faults.take(store, operation) for operation in (LIST, CREATE, CREATE, CREATE)]
    assert [hit.fault if hit else None for hit in hits] == ["status", "lose_answer", "lose_answer", None]
    store.close()


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        {},
        {"fault": "bogus"},
        {"fault": ["status"]},
        {"fault": "status", "bogus": 1},
        {"fault": "status", "count": 0},
        {"fault": "status", "count": True},
        {"fault": "status", "count": "1"},
        {"fault": "status", "status": 200},
        {"fault": "status", "status": 600},
        {"fault": "status", "replay": 1},
        {"fault": "delay", "seconds": 61},
        {"fault": "delay", "seconds": float("nan")},
        {"fault": "status", "operation": 1},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(given: Any) -> None:
    with pytest.raises(InvalidFault):
        Fault.read(given)
