"""Reports what is wrong with a deployment and how to fix it. Changes nothing.

The flow is really called, with an invoice that does not exist: "not found" from the functions proves the address, the flow
secret and the functions' connection to Directus at once. The webhook secret is tested without storing an event: a signed
body that is not an event is refused for another reason than a wrong signature.
"""

import hashlib
import hmac
import json
import os
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import quote

from directus import access, flows, model, settings, translations
from directus.doctor_access import (
    Holdings,
    children_of_staff,
    open_to_public,
    remark_on_passwords,
    remark_on_two_factors,
    too_much,
)
from directus.doctor_look import remark_on_color
from directus.installer import plan
from directus.probe import EXTENSION, probe
from directus.rest import Directus, InstallerError

#: The most steps of a query of ours (MAX_RELATIONAL_DEPTH; Directus counts the field as a step).
MOST_STEPS: Final = 4
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404


@dataclass(frozen=True)
class Finding:
    """The result of one check: `ok`, `wrong` (with what to do) or `unchecked` (with what is needed to check it).

    A `warning` also says what to do, but everything works without it.
    """

    state: Literal["ok", "wrong", "warning", "unchecked"]
    what: str


@dataclass(frozen=True)
class Deployment:
    """The doctor's input; all but the first two may be absent."""

    url: str
    admin_token: str
    service_token: str | None = None
    functions_url: str | None = None
    webhook_secret: str | None = None
    storage: str = "s3"


def deployment_from_environment(url: str, admin_token: str) -> Deployment:
    """`BILLING_SERVICE_TOKEN`, `BILLING_FUNCTIONS_URL`, `STRIPE_WEBHOOK_SECRET`, `DIRECTUS_STORAGE` where they are set."""
    return Deployment(
        url,
        admin_token,
        os.environ.get("BILLING_SERVICE_TOKEN") or None,
        os.environ.get("BILLING_FUNCTIONS_URL") or None,
        os.environ.get("STRIPE_WEBHOOK_SECRET") or None,
        os.environ.get("DIRECTUS_STORAGE") or "s3",
    )


def examine(deployment: Deployment) -> list[Finding]:
    """The results of all checks, in the order in which to fix them."""
    with Directus(deployment.url, deployment.admin_token) as directus:
        try:
            probed = probe(directus)
        except InstallerError as error:
            return [Finding("wrong", str(error))]
        checks: list[Callable[[], Iterator[Finding]]] = [
            lambda: _guard(probed.version, probed.guard),
            lambda: _guessing(directus, probed.guard),
            lambda: _invitation(directus),
            lambda: _lists(directus),
            lambda: _depth(directus),
            lambda: _model(deployment),
            lambda: _roles(directus),
            lambda: _policies(directus),
            lambda: _logins(directus),
            lambda: _service_token(deployment),
            lambda: _flow_call(directus),
            lambda: _health(directus, deployment.storage),
            lambda: _webhook(deployment),
            lambda: _look(directus),
        ]
        return [finding for check in checks for finding in _without_crash(check)]


def summary(findings: list[Finding], url: str) -> str:
    """The last line; it says that nothing is wrong only without warnings."""
    wrong, warnings = (sum(finding.state == state for finding in findings) for state in ("wrong", "warning"))
    if not wrong and not warnings:
        return f"Nothing wrong found at {url}."
    mend = f"{wrong} to fix at {url}." if wrong else f"Nothing to fix at {url}."
    return f"{mend} {warnings} to consider." if warnings else mend


def _without_crash(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except InstallerError as error:
        return [Finding("wrong", str(error))]


def _guard(version: str, guard: str) -> Iterator[Finding]:
    yield Finding("ok", f"Directus {version}, changes by query are refused")
    ours = json.loads((EXTENSION / "package.json").read_text("utf-8"))["version"]
    if guard == ours:
        yield Finding("ok", f"guard extension {guard}")
    else:
        yield Finding(
            "wrong",
            f"Directus runs version {guard} of the guard extension, but this checkout has {ours}: copy "
            "directus/extensions/billing-guard again and restart Directus.",
        )


def _guessing(directus: Directus, guard: str) -> Iterator[Finding]:
    danger = settings.danger(directus.call("GET", f"/settings?fields={settings.ATTEMPTS}"), guard)
    if danger:
        yield Finding("wrong", danger)
    else:
        yield Finding("ok", "password guessing is slowed")


def _invitation(directus: Directus) -> Iterator[Finding]:
    """Invite the administrator's own address: Directus does not invite an active account, so no mail is sent."""
    email = (directus.call("GET", "/users/me?fields=email") or {}).get("email")
    if not email:
        yield Finding(
            "unchecked",
            "invitations: to check them, use the token of an administrator who has an e-mail address",
        )
        return
    with Directus(directus.url) as nobody:
        status, _ = nobody.answer("POST", "/users/invite", {"email": email, "role": access.role_id("Client")})
    if status == _FORBIDDEN:
        yield Finding("ok", "invitations do not reveal who has an account")
    else:
        yield Finding(
            "wrong",
            f"POST /users/invite reveals without a login whether an address has an account ({status}), and mails those who "
            "were invited: copy directus/extensions/billing-guard again and restart Directus.",
        )


def _lists(directus: Directus) -> Iterator[Finding]:
    """Reconcile, reminders and ledgers read whole lists; Directus silently cuts them at this setting."""
    maximum = directus.call("GET", "/server/info").get("queryLimit", {}).get("max", -1)
    if maximum == -1:
        yield Finding("ok", "lists are returned whole")
    else:
        yield Finding(
            "wrong",
            f"QUERY_LIMIT_MAX={maximum} of Directus cuts every list that the functions read: remove it.",
        )


def _depth(directus: Directus) -> Iterator[Finding]:
    """Request more steps than our queries need. Nothing relies on the limit; it bounds the cost of a query."""
    path: dict[str, Any] = {"id": {"_null": True}}
    for _ in range(MOST_STEPS):
        path = {"parent": path}
    status, _ = directus.answer("GET", f"/folders?limit=1&fields=id&filter={quote(json.dumps(path))}")
    if status == HTTPStatus.BAD_REQUEST:
        yield Finding("ok", f"queries take at most {MOST_STEPS} steps through relations")
    else:
        yield Finding(
            "warning",
            f"MAX_RELATIONAL_DEPTH of Directus lets queries take more than {MOST_STEPS} steps through relations, which "
            f"can slow it down for everyone: set MAX_RELATIONAL_DEPTH={MOST_STEPS} and restart Directus.",
        )


def _model(deployment: Deployment) -> Iterator[Finding]:
    changes = plan(deployment.url, deployment.admin_token)
    if changes:
        listed = "; ".join(change.summary for change in changes[:5]) + ("; ..." if len(changes) > 5 else "")  # noqa: PLR2004  a screenful
        yield Finding("wrong", f"{len(changes)} things differ from the model ({listed}): run make apply.")
    else:
        yield Finding("ok", "model, roles and flows match this checkout")


def _roles(directus: Directus) -> Iterator[Finding]:
    permissions = directus.rows("/permissions")
    for sentence in access.unknown_permissions(permissions):
        yield Finding("wrong", f"{sentence}: move it to a policy and a role of your own, or delete it.")
    certain, perhaps = open_to_public(permissions, {collection.name for collection in model.collections()})
    if certain:
        yield Finding(
            "wrong", f"Anyone may do this without a login: {', '.join(certain)}. Remove it from Public."
        )
    else:
        yield Finding("ok", "nothing of billing is open without a login")
    if perhaps:
        yield Finding(
            "warning",
            f"Anyone may do this without a login: {', '.join(perhaps)}. Make sure that its filter matches no document.",
        )


def _policies(directus: Directus) -> Iterator[Finding]:
    """Directus adds up all policies of a person; `docs/roles.md` is true only for ours alone."""
    links = directus.rows("/access", fields="role,user,policy")
    service = next(role for role in access.roles() if role.user is not None)
    attached = [link["user"] for link in links if link.get("user") is not None]
    who = {"_or": [{"id": {"_in": attached}}, {"role": {"_eq": service.role["id"]}}]}
    held = Holdings(
        directus.rows("/roles", fields="id,name,parent"),
        directus.rows("/policies", fields="id,name,admin_access,app_access,enforce_tfa"),
        links,
        directus.rows("/users", fields="id,role", filter=who if attached else who["_or"][1]),
    )
    remarks = too_much(held)
    yield from (Finding("wrong", remark) for remark in remarks)
    yield from (Finding("warning", remark) for remark in children_of_staff(held))
    if not remarks:
        yield Finding("ok", "every user has the policies of their role and no others")
    two_factors = remark_on_two_factors(held.policies)
    yield Finding("warning", two_factors) if two_factors else Finding("ok", "two-factor login is enforced")


def _logins(directus: Directus) -> Iterator[Finding]:
    project = directus.call("GET", "/settings?fields=auth_password_policy,default_language") or {}
    passwords = remark_on_passwords(project.get("auth_password_policy"))
    yield Finding("wrong", passwords) if passwords else Finding("ok", "passwords have a policy")
    clients = {"_or": [{"role": {"_null": True}}, {"role": {"_neq": access.role_id("Client")}}]}
    users = directus.rows("/users", fields="language", filter=clients)
    used = {row["language"] for row in [*users, {"language": project.get("default_language")}]} - {None}
    if without_titles := sorted(used - set(translations.languages())):
        yield Finding(
            "warning",
            f"Users of the Data Studio in {', '.join(without_titles)} see refusals as codes: translate the keys that begin "
            "with errors. under Settings, Translations.",
        )


def _service_token(deployment: Deployment) -> Iterator[Finding]:
    if deployment.service_token is None:
        yield Finding("unchecked", "the service user's token: set BILLING_SERVICE_TOKEN to check it")
        return
    with Directus(deployment.url, deployment.service_token) as service:
        status, answer = service.answer("GET", "/users/me?fields=id")
    if status == _UNAUTHORIZED or not isinstance(answer, dict) or "data" not in answer:
        yield Finding(
            "wrong", "BILLING_SERVICE_TOKEN is not the service user's token: run make apply with it."
        )
    elif answer["data"]["id"] != access.service_user()["id"]:
        yield Finding("wrong", "BILLING_SERVICE_TOKEN belongs to another user; the functions need their own.")
    else:
        yield Finding("ok", "the service user logs in")


def _flow_call(directus: Directus) -> Iterator[Finding]:
    pay = flows.flow_ids()["pay_invoice"]
    status, answer = directus.answer("POST", f"/flows/trigger/{pay}", {"invoice": str(uuid.uuid4())})
    code = _code(answer)
    if (status, code) == (_NOT_FOUND, "NOT_FOUND"):
        yield Finding("ok", "the flow Pay invoice reaches the functions, and they reach Directus")
    elif status == _UNAUTHORIZED:
        yield Finding(
            "wrong",
            "The functions do not accept the flow secret: BILLING_FLOW_SECRET of Directus must be the secret in "
            "Secrets Manager (with the prefix string: if it is made of digits).",
        )
    elif code == "BILLING_UNAVAILABLE":
        yield Finding(
            "wrong",
            "The flow Pay invoice gets no answer. Check BILLING_FUNCTIONS_URL in Directus's environment, that "
            "FLOWS_ENV_ALLOW_LIST is BILLING_FUNCTIONS_URL,BILLING_FLOW_SECRET, and that IMPORT_IP_DENY_LIST allows "
            "the address.",
        )
    elif code == "SECRET_UNAVAILABLE":
        yield Finding(
            "wrong",
            "A secret of the functions has no value yet, or they may not read it: the log of CheckoutFunction names it "
            "(field secret). Put Stripe's key and the service user's token into the secrets that the outputs "
            "StripeSecretArn and DirectusTokenSecretArn name (docs/deploy.md, step 3). They take effect within a minute; then "
            "run make doctor again.",
        )
    elif status == _FORBIDDEN:
        yield Finding("wrong", "The flow Pay invoice is not active: run make apply.")
    else:
        yield Finding("wrong", f"The functions answered the flow with {status} {code}: {_message(answer)}")


def _health(directus: Directus, storage: str) -> Iterator[Finding]:
    status, answer = directus.answer("GET", "/server/health")
    checks = answer.get("checks", {}) if isinstance(answer, dict) else {}
    for name, results in sorted(checks.items()):
        kind, _, rest = name.partition(":")
        if kind not in {"storage", "email"}:
            continue
        if any(result.get("status") == "error" for result in results):
            hint = "STORAGE_* (key, secret, region, endpoint)" if kind == "storage" else "EMAIL_*"
            yield Finding(
                "wrong", f"Directus cannot use its {kind} ({rest.partition(':')[0]}): check {hint}."
            )
        else:
            yield Finding("ok", f"{kind} {rest.partition(':')[0]} works")
    if not any(name.startswith("storage:") for name in checks):
        yield Finding("wrong", f"Directus does not report the health of its storage ({status}).")
    elif not any(name.startswith(f"storage:{storage}:") for name in checks):
        yield Finding(
            "wrong",
            f"Directus has no storage location named {storage}, where the functions put PDFs: see STORAGE_* and the "
            "parameter DirectusStorage.",
        )


def _webhook(deployment: Deployment) -> Iterator[Finding]:
    if deployment.functions_url is None or deployment.webhook_secret is None:
        yield Finding(
            "unchecked", "the webhook: set BILLING_FUNCTIONS_URL and STRIPE_WEBHOOK_SECRET to check it"
        )
        return
    unknown = _delivered(deployment.functions_url, "whsec_" + secrets.token_hex(16))
    known = _delivered(deployment.functions_url, deployment.webhook_secret)
    if unknown[:2] == (503, "secret_unavailable"):
        yield Finding(
            "wrong",
            "The webhook's signing secret has no value yet, or the function may not read it: put Stripe's signing secret "
            "into the secret that the output WebhookSecretArn names (docs/deploy.md, step 3).",
        )
    elif unknown != (400, "signature_rejected", unknown[2]):
        yield Finding(
            "wrong",
            f"{deployment.functions_url}/stripe/webhook does not refuse a wrong signature ({unknown[0]}).",
        )
    elif known == unknown:
        yield Finding(
            "wrong",
            "The webhook does not accept STRIPE_WEBHOOK_SECRET: copy the endpoint's signing secret from Stripe into "
            "Secrets Manager.",
        )
    else:
        yield Finding("ok", "the webhook accepts the signing secret and no other")


def _look(directus: Directus) -> Iterator[Finding]:
    status, answer = directus.answer("GET", "/items/firm?fields=accent_color")
    if status == _FORBIDDEN:
        return  # the model is not applied, which was reported above
    firm = answer.get("data") if isinstance(answer, dict) else None
    color = str((firm or {}).get("accent_color") or "")
    remark = remark_on_color(color)
    if remark:
        yield Finding("warning", remark)
    else:
        yield Finding("ok", f"documents are rendered in {color or 'our dark blue'}")


def _delivered(functions_url: str, secret: str) -> tuple[int, str, str]:
    """Status, code and detail of delivering a signed body that is not an event; nothing is stored."""
    body = b"{}"
    timestamp = int(time.time())
    signature = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    with Directus(functions_url, headers={"Stripe-Signature": f"t={timestamp},v1={signature}"}) as functions:
        status, answer = functions.send("POST", "/stripe/webhook", body, "application/json")
    problem = answer if isinstance(answer, dict) else {}
    return status, str(problem.get("code")), str(problem.get("detail"))


def _first_error(answer: Any) -> dict[str, Any]:
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return errors[0] if isinstance(errors, list) and errors else {}


def _code(answer: Any) -> str | None:
    code = _first_error(answer).get("extensions", {}).get("code")
    return None if code is None else str(code)


def _message(answer: Any) -> str:
    return str(_first_error(answer).get("message", "no reason given"))
