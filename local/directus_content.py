"""What the stack puts into Directus: model, roles and flows by the installer, then the seed data, once."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from directus.flows import flow_ids
from directus.installer import apply
from directus.rest import InstallerError
from local.demo.people import send
from local.problem import Problem
from local.seed import seed
from local.setup.paths import ROOT
from local.waiting import NeverHappened, wait_for

RENDER_SECONDS: Final = 300.0
"""A dozen PDFs on a cold, slow machine."""


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


def order_documents(
    url: str, admin_token: str, *, functions_url: str, flow_secret: str, say: Callable[[str], None]
) -> None:
    """Request the PDFs of sent invoices and wait until they are rendered, at most `RENDER_SECONDS`.

    Otherwise the next invoice would wait behind them in the queue. `say` reports progress, and PDFs that fail or take
    longer; they do not stop a start.
    """

    def states() -> dict[str, str]:
        query = {
            "filter": {"status": {"_nin": ["draft", "void"]}},
            "fields": ["id", "pdf_status"],
            "limit": -1,
        }
        rows = _answer(
            "SEARCH", f"{url}/items/invoices", admin_token, {"query": query}, expected=HTTPStatus.OK
        )
        return {row["id"]: row["pdf_status"] for row in rows["data"]}

    invoices = list(states())
    _answer(
        "POST",
        f"{functions_url}/invoices/pdf",
        flow_secret,
        {"invoices": invoices},
        expected=HTTPStatus.ACCEPTED,
    )
    wait_until_drawn(invoices, states, say=say)


def wait_until_drawn(
    invoices: Sequence[str],
    states: Callable[[], Mapping[str, str]],
    *,
    say: Callable[[str], None],
    seconds: float = RENDER_SECONDS,
    pause: float = 0.5,
) -> None:
    """Wait until every invoice's `pdf_status`, which `states` reads, is `ready` or `failed`; report each new count."""
    told = 0

    def all_drawn() -> bool:
        nonlocal told
        now = states()
        done = sum(now.get(invoice) in {"ready", "failed"} for invoice in invoices)
        if done > told:
            told = done
            say(f"    {done} of {len(invoices)} seed PDFs rendered")
        return done == len(invoices)

    try:
        wait_for("the seed PDFs", all_drawn, seconds=seconds, pause=pause)
    except NeverHappened:
        say(f"    continuing after {seconds:.0f} s; the others are still rendering")
    final = states()
    failed = [invoice for invoice in invoices if final.get(invoice) == "failed"]
    if failed:
        say(f"    {len(failed)} seed PDFs failed; the invoices' pdf_error says why: {', '.join(failed)}")


def _answer(method: str, url: str, token: str, body: object, *, expected: HTTPStatus) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    answer = send(method, url, body=body, headers=headers)
    if answer.status != expected:
        raise Problem(f"The documents of the seed data could not be ordered: {answer.status} from {url}.")
    document: dict[str, Any] = answer.json
    return document


def flows() -> dict[str, str | None]:
    """Return the flows' fixed ids by the names of the contract."""
    return flow_ids()
