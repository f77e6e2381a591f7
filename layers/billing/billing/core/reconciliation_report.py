"""What a person reads of a reconciliation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


@dataclass(frozen=True)
class PrintableReport:
    """A report as it is printed.

    `moment` is when the run began, `since` how far back it read Stripe, `checked` how many of each it compared.
    Entries of `repaired` and `differences` have `kind`, `detail` and the ids of the records (no person's name);
    those of `repaired` have `repair`, too.
    """

    moment: datetime
    since: datetime
    checked: Mapping[str, int]
    repaired: Sequence[Mapping[str, str]]
    differences: Sequence[Mapping[str, str]]
