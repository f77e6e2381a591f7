"""Checks a target before anything is changed on it."""

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from directus.rest import Directus, DirectusRefused, InstallerError

GUARD = "billing-guard"
EXTENSION = Path(__file__).parent / "extensions" / GUARD
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_MINOR_OF_11 = 17
_UNAUTHENTICATED, _FORBIDDEN = 401, 403


@dataclass(frozen=True)
class Probed:
    """What was found: Directus's version and the version of the guard extension."""

    version: str
    guard: str


def probe(administrator: Directus) -> Probed:
    """Check reachability, the token, the version, the licence of Directus 12 and the guard.

    Raises `InstallerError` with what is wrong and how to fix it. Leaves nothing behind: on Directus 12 a policy is
    created and deleted again.
    """
    me = _administrator(administrator)
    version = _version(administrator)
    if me:
        raise InstallerError(me)
    if version.startswith("12."):
        _custom_rules(administrator)
    return Probed(version, _guard(administrator.url))


def _administrator(directus: Directus) -> str | None:
    status, answer = directus.answer("GET", "/users/me?fields=id,role.name,status")
    if status == _UNAUTHENTICATED:
        message = f"The token is not accepted by {directus.url}. Set DIRECTUS_ADMIN_TOKEN to an administrator's token."
        raise InstallerError(message)
    if not isinstance(answer, dict) or ("data" not in answer and "errors" not in answer):
        message = f"{directus.url} answers, but not like a Directus. Is DIRECTUS_URL right?"
        raise InstallerError(message)
    try:
        directus.call("GET", "/policies?limit=1&fields=id,admin_access")
        directus.call("GET", "/settings?fields=id")
    except DirectusRefused:
        return "The token is not an administrator's. Set DIRECTUS_ADMIN_TOKEN to an administrator's static token."
    return None


def _version(directus: Directus) -> str:
    info = directus.call("GET", "/server/info") or {}
    found = _VERSION.match(str(info.get("version", "")))
    if found is None:
        message = "Directus does not show its version to this token. Set DIRECTUS_ADMIN_TOKEN to an administrator's."
        raise InstallerError(message)
    major, minor = int(found.group(1)), int(found.group(2))
    if major == 12 or (major == 11 and minor >= _MINOR_OF_11):  # noqa: PLR2004  the majors we know
        return found.group(0)
    message = f"This is Directus {found.group(0)}; 11.17 or a later 11, or 12 with a licence, is needed."
    raise InstallerError(message)


def _custom_rules(directus: Directus) -> None:
    """Directus 12 without a licence refuses row filters: try one, with a policy that is deleted again."""
    policy = str(uuid.uuid4())
    directus.call("POST", "/policies", {"id": policy, "name": "billing probe (deleted at once)"})
    try:
        rule: dict[str, Any] = {"policy": policy, "collection": "directus_users", "action": "read"}
        directus.call(
            "POST", "/permissions", rule | {"fields": ["id"], "permissions": {"id": {"_null": True}}}
        )
    except DirectusRefused as refused:
        message = (
            "This Directus 12 has no licence for custom permission rules "
            f"({refused.code or refused.status}), so it cannot keep one client's invoices from another. "
            "Add a licence or use Directus 11.17. Nothing was changed."
        )
        raise InstallerError(message) from None
    finally:
        directus.call("DELETE", f"/policies/{policy}")


def _guard(url: str) -> str:
    """The guard's version, from its refusal of a change without a login that matches no row."""
    with Directus(url) as nobody:
        status, answer = nobody.answer(
            "PATCH", "/users", {"query": {"filter": {"id": {"_null": True}}}, "data": {"title": "probe"}}
        )
    if status != _FORBIDDEN:
        message = (
            f"{url} answers changes by query without a login ({status}): every field of every row can be guessed letter by "
            f"letter. Copy directus/extensions/{GUARD} to its extensions folder (EXTENSIONS_PATH), "
            "restart Directus, and run this again. (Directus must start in a folder that holds a package.json, or it "
            "loads no extension at all.) Nothing was changed."
        )
        raise InstallerError(message)
    extensions = (
        answer["errors"][0].get("extensions", {}) if isinstance(answer, dict) and answer.get("errors") else {}
    )
    version = extensions.get("billing_guard")
    if not isinstance(version, str):
        message = (
            f"The extension {GUARD} is not loaded at {url} (something else refuses changes by query). It also checks "
            f"every link that staff and clients write. Copy directus/extensions/{GUARD} to the extensions folder, restart "
            "Directus, and run this again. Nothing was changed."
        )
        raise InstallerError(message)
    return version
