"""How large the proofs on a real Directus are: small in `make test`, as the issue names them with `BILLING_SOAK=1`."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """`at_once` callers or deliveries; `rounds` of a race; `every_call`: crash around reads, too, not only effects."""

    at_once: int
    rounds: int
    every_call: bool


SIZES = (
    Sizes(50, 10, every_call=True)
    if os.environ.get("BILLING_SOAK") == "1"
    else Sizes(10, 1, every_call=False)
)
