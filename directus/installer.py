"""Plan and apply: make a Directus match `model/`, `access/`, `flows/` and `translations/`, and change nothing else.

Everything is read and compared first; only what is missing or differs is sent, and a second run finds nothing. Nothing
is ever deleted; the firm's own collections, fields, roles and flows are not touched.
"""

import os
from typing import Any

from directus import access, flows, model, payment_flags, settings, translations
from directus.changes import Change, requests_for
from directus.probe import probe
from directus.rest import Directus, InstallerError

_OK = 200


def plan(url: str, admin_token: str, *, service_token: str | None = None) -> list[Change]:
    """What `apply` would change on the target, in order; empty when it is up to date.

    Raises `InstallerError` with one sentence if the target must be fixed first.
    """
    with Directus(url, admin_token) as directus:
        probed = probe(directus)
        return _differences(directus, service_token, probed.guard)


def apply(url: str, admin_token: str, *, service_token: str | None) -> list[Change]:
    """Make the changes of `plan` and return them. `service_token` becomes the service user's static token.

    With `service_token=None` the token stays as it is. Raises `InstallerError`; changes made before an error stay, and
    the next run continues from there.
    """
    with Directus(url, admin_token) as directus:
        guard = probe(directus).guard
        made: list[Change] = []
        left = _differences(directus, service_token, guard)
        for _ in range(2):  # rows are filled in once they have their column
            for method, path, body in requests_for(left):
                directus.call(method, path, body)
            made += left
            left = _differences(directus, service_token, guard) if left else []
    if left:
        listed = "; ".join(change.summary for change in left)
        message = f"Directus accepted the changes but these still differ: {listed}."
        raise InstallerError(message)
    return made


def _differences(directus: Directus, service_token: str | None, guard: str) -> list[Change]:
    fields = directus.rows("/fields")
    schema_changes = model.compare(directus.rows("/collections"), fields, directus.rows("/relations"))
    ours = [str(role.role["id"]) for role in access.roles()]
    policies = [str(role.policy["id"]) for role in access.roles()]
    target: dict[str, list[dict[str, Any]]] = {
        "roles": directus.rows("/roles", filter={"id": {"_in": ours}}),
        "policies": directus.rows("/policies", filter={"id": {"_in": policies}}),
        "access": directus.rows("/access", filter={"policy": {"_in": policies}}),
        "permissions": directus.rows("/permissions", filter={"policy": {"_in": policies}}),
        "users": directus.rows("/users", filter={"id": {"_eq": access.service_user()["id"]}}),
    }
    access_changes = access.compare(
        target, service_token=service_token, token_is_set=_token_is_set(directus.url, service_token)
    )
    flow_ids = [flow.id for flow in flows.flows()]
    flow_changes = flows.compare(
        directus.rows("/flows", filter={"id": {"_in": flow_ids}}),
        directus.rows("/operations", filter={"flow": {"_in": flow_ids}}),
    )
    setting_changes = settings.compare(directus.call("GET", f"/settings?fields={settings.ATTEMPTS}"), guard)
    title_changes = translations.compare(directus.rows("/translations", fields="language,key"))
    has_flags = any((field["collection"], field["field"]) == ("payments", "flag") for field in fields)
    flag_changes = payment_flags.compare(directus) if has_flags else []
    return [
        *schema_changes,
        *access_changes,
        *flow_changes,
        *setting_changes,
        *title_changes,
        *flag_changes,
    ]


def _token_is_set(url: str, token: str | None) -> bool:
    """Whether the token logs the service user in (Directus never shows a token)."""
    if token is None:
        return True
    with Directus(url, token) as service:
        status, answer = service.answer("GET", "/users/me?fields=id")
    return status == _OK and isinstance(answer, dict) and answer["data"]["id"] == access.service_user()["id"]


def target_from_environment() -> tuple[str, str]:
    """`DIRECTUS_URL` and `DIRECTUS_ADMIN_TOKEN`, or a plain sentence naming what is missing."""
    missing = [name for name in ("DIRECTUS_URL", "DIRECTUS_ADMIN_TOKEN") if not os.environ.get(name)]
    if missing:
        message = f"Set {' and '.join(missing)} first."
        raise InstallerError(message)
    return os.environ["DIRECTUS_URL"], os.environ["DIRECTUS_ADMIN_TOKEN"]
