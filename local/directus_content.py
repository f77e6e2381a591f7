"""What the stack puts into Directus: model, roles and flows by the installer, then the seed data, once."""

import hashlib
from http import HTTPStatus
from typing import Any

import urllib3

from directus.flows import flow_ids
from directus.installer import apply
from directus.rest import InstallerError
from local.problem import Problem
from local.seed import seed
from local.setup.paths import ROOT


def digest() -> str:
    """Return a key of everything the installer is and reads."""
    total = hashlib.sha256()
    for path in sorted((ROOT / "directus").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return total.hexdigest()[:16]


def install(url: str, admin_token: str, *, service_token: str) -> None:
    """Apply the model to the Directus at `url`; a second time changes nothing."""
    try:
        apply(url, admin_token, service_token=service_token)
    except InstallerError as error:
        raise Problem(f"The Directus model could not be applied: {error}") from error


def fill(url: str, admin_token: str) -> dict[str, Any]:
    """Write the seed data into an empty model; return `{"staff": [...], "clients": [...]}` of the contract."""
    logins: dict[str, Any] = seed(url, admin_token)
    return logins


def order_documents(url: str, admin_token: str, *, functions_url: str, flow_secret: str) -> None:
    """Order the PDFs of the invoices that were sent; they appear in Directus one after another."""
    sent = {"query": {"filter": {"status": {"_nin": ["draft", "void"]}}, "fields": ["id"], "limit": -1}}
    found = _answer("SEARCH", f"{url}/items/invoices", admin_token, sent, expected=HTTPStatus.OK)
    invoices = [row["id"] for row in found["data"]]
    _answer(
        "POST",
        f"{functions_url}/invoices/pdf",
        flow_secret,
        {"invoices": invoices},
        expected=HTTPStatus.ACCEPTED,
    )


def _answer(method: str, url: str, token: str, body: object, *, expected: HTTPStatus) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    answer = urllib3.request(method, url, json=body, headers=headers, retries=False, timeout=60.0)
    if answer.status != expected:
        raise Problem(f"The documents of the seed data could not be ordered: {answer.status} from {url}.")
    document: dict[str, Any] = answer.json()
    return document


def flows() -> dict[str, str | None]:
    """Return the flows' fixed ids by the names of the contract."""
    return flow_ids()
