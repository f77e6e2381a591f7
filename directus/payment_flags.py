"""Fill `payments.flag` from `payments.note`, where versions without that column kept it in sentences.

Only the sentences of those versions are looked for: what the functions flag today has its flag from the beginning. Delete
this file once no firm upgrades from such a version.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import batched
from typing import Any

from directus.changes import Change
from directus.rest import Directus

_MONEY = r"-?[0-9]+(?:\.[0-9]+)? [A-Z]{3}"
#: The first that is found decides: a surplus is more urgent than the amount that was asked for.
_SENTENCES = {
    "unknown_invoice": r"Paid through Stripe for an invoice that Directus does not have\. Assign it by hand\.",
    "other_currency": r"Paid in [A-Z]{3}, the invoice is in [A-Z]{3}\. Assign it by hand\.",
    "surplus": (
        rf"More was received than was due: {_MONEY} is credit of the client, to be refunded or applied by hand\."
    ),
    "amount_differs": rf"Asked for {_MONEY}, received {_MONEY}\.",
}
_ROWS_IN_ONE_REQUEST = 200

type Row = Mapping[str, Any]


def compare(directus: Directus) -> list[Change]:
    """What notes say and flags do not; the target has both columns."""
    noted = directus.rows(
        "/items/payments",
        fields="id,note,invoice,attempt",
        filter={"_and": [{"flag": {"_null": True}}, {"note": {"_nempty": True}}]},
    )
    numbers = _numbers_of_origins(directus, noted)
    payments: defaultdict[str, list[str]] = defaultdict(list)
    for row in noted:
        if flag := _flag_of(row, numbers):
            payments[flag].append(row["id"])
    return [
        Change(
            f"fill payments.flag with {flag} where the note says so ({len(keys)} payments)",
            "PATCH",
            "/items/payments",
            {"keys": list(keys), "data": {"flag": flag}},
        )
        for flag, found in payments.items()
        for keys in batched(found, _ROWS_IN_ONE_REQUEST, strict=False)
    ]


def _flag_of(row: Row, numbers: Mapping[str, str]) -> str | None:
    note = str(row["note"])
    for flag, sentence in _SENTENCES.items():
        if re.search(sentence, note):
            return flag
    number = numbers.get(_origin(row) or "")
    named = number is not None and re.search(rf"(?<![\w-]){re.escape(number)}(?![\w-])", note)
    return "moved" if named else None


def _origin(row: Row) -> str | None:
    """The invoice that a payment was made for, if it stands on another one: an administrator noted its number."""
    attempt = row["attempt"] if isinstance(row["attempt"], dict) else {}
    parameters = attempt.get("parameters")
    origin = parameters.get("client_reference_id") if isinstance(parameters, dict) else None
    return str(origin) if origin is not None and row["invoice"] not in {None, origin} else None


def _numbers_of_origins(directus: Directus, rows: Iterable[Row]) -> dict[str, str]:
    origins = sorted({origin for row in rows if (origin := _origin(row)) is not None})
    return {
        invoice["id"]: invoice["invoice_number"]
        for keys in batched(origins, _ROWS_IN_ONE_REQUEST, strict=False)
        for invoice in directus.rows(
            "/items/invoices", fields="id,invoice_number", filter={"id": {"_in": list(keys)}}
        )
    }
