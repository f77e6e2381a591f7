"""The rows of one firm among all that a shared test Directus holds: as an administrator sees them, and as reconcile may."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from billing.directus.client import DirectusClient
from billing.directus.rows import Row
from directus.rest import Directus

type Filter = Mapping[str, Any]


def ours(account: str, clients: Sequence[str]) -> Mapping[str, Filter]:
    """What is this firm's, by collection: its clients', and whatever carries an id of its Stripe account."""
    of_payment: list[Filter] = [
        {"client": {"_in": list(clients)}},
        {"checkout_session": {"_starts_with": f"cs_test_{account}"}},
        {"transaction_id": {"_starts_with": f"pi_{account}"}},
    ]
    below = {"_or": [{"payment": condition} for condition in of_payment]}
    return {
        "invoices": {"client": {"_in": list(clients)}},
        "payments": {"_or": of_payment},
        "refunds": below,
        "payment_disputes": below,
        "documents": {"client": {"_in": list(clients)}},
        "stripe_events": {"id": {"_starts_with": f"evt_{account}"}},
        "notices": {"client": {"_in": list(clients)}},
    }


class DirectusRows:
    """`Rows` of `tests.unit.payments.office` on a real Directus."""

    def __init__(self, admin: Directus, mine: Mapping[str, Filter]) -> None:
        """`mine` as `ours` gives it."""
        self._admin = admin
        self._mine = mine

    def put(self, collection: str, **row: Any) -> str:
        return str(self._admin.call("POST", f"/items/{collection}", row)["id"])

    def change(self, collection: str, key: str, **columns: Any) -> None:
        self._admin.call("PATCH", f"/items/{collection}/{key}", columns)

    def all(self, collection: str) -> dict[str, Row]:
        sort = "date_created" if collection == "payments" else "id"
        rows = self._admin.rows(f"/items/{collection}", filter=json.dumps(self._mine[collection]), sort=sort)
        return {row["id"]: row for row in rows}


class OnlyOurs(DirectusClient):
    """A client to whom other tests' rows do not exist."""

    mine: Mapping[str, Filter]

    def read_many(
        self,
        collection: str,
        *,
        filter: Mapping[str, object],  # noqa: A002  # Directus's own word
        fields: Sequence[str],
        sort: Sequence[str] = (),
        limit: int = -1,
        offset: int = 0,
        deep: Mapping[str, object] | None = None,
    ) -> list[Row]:
        """What matches and is this firm's."""
        condition = {"_and": [filter, self.mine[collection]]} if collection in self.mine else filter
        return super().read_many(
            collection, filter=condition, fields=fields, sort=sort, limit=limit, offset=offset, deep=deep
        )
