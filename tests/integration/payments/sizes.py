"""How large the proofs on a real Directus are: small in `make test`, as the issue names them with `BILLING_SOAK=1`.

Small: every behaviour once, both databases together in less than a minute on a quiet machine of two cores.
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """`at_once`: callers or deliveries; `rounds` of each race.

    `exhaustive`: crashes before and after every call on both databases, and the payment after each; every race; every
    event that Stripe sends. Else crashes after each kind of call that changes something, every other kind on each
    database; one race of a kind; the events that tell the most.
    """

    at_once: int
    rounds: int
    exhaustive: bool

    def databases(self, *small: str) -> list[str]:
        """The databases for a test that takes long, if not all in the small run."""
        return ["sqlite", "postgresql"] if self.exhaustive else list(small)


SIZES = (
    Sizes(at_once=50, rounds=10, exhaustive=True)
    if os.environ.get("BILLING_SOAK") == "1"
    else Sizes(at_once=5, rounds=1, exhaustive=False)
)
