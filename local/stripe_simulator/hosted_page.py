"""Stripe's hosted Checkout page, as plain HTML that a person or a program can post."""

import logging
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from local.stripe_simulator import catalogue, checkout_sessions, payments
from local.stripe_simulator.errors import DishonestAnswer, StripeError
from local.stripe_simulator.form_encoding import FormError, parse
from local.stripe_simulator.jobs import run_due_jobs
from local.stripe_simulator.store import StripeObject
from local.stripe_simulator.world import World

logger = logging.getLogger(__name__)

_MAXIMUM_BODY = 10_000
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "label,input,button{display:block;font:inherit}input{width:100%;box-sizing:border-box;padding:.5rem;margin:0 0 1rem}"
    "button{padding:.6rem 1.2rem;margin:0 0 1rem}[role=alert]{color:#a40000;font-weight:bold}"
    ".banner{background:#fff3cd;padding:.5rem 1rem}"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class HostedPage:
    """`GET` and `POST /c/pay/{session}`: the form, and paying by it (fields `number`, `name`, `method`)."""

    def __init__(self, world: World) -> None:
        """Pages show and change sessions of this world."""
        self._world = world

    async def __call__(self, request: Request) -> Response:
        """The form; after a payment a redirect (303) to the session's success URL; 410 when it is not open."""
        run_due_jobs(self._world)
        session = self._world.store.get(request.path_params["session"])
        if session is None or session["object"] != "checkout.session":
            return document("Page not found", "<p>There is no such Checkout Session.</p>", 404)
        if session["status"] != "open":
            text = f"<p>This Checkout Session is {escape(session['status'])}. Nothing can be paid here.</p>"
            return document("This page is no longer active", text, 410)
        if session["mode"] != "payment":
            return document("Not simulated", "<p>Nothing is paid in this Checkout Session.</p>", 501)
        if request.method != "POST":
            return _form(session)
        return await self._pay(request, session)

    async def _pay(self, request: Request, session: StripeObject) -> Response:
        try:
            fields = await _fields(request)
            method: payments.Method = (
                "us_bank_account" if fields.get("method") == "us_bank_account" else "card"
            )
            with self._world.change():
                # Read again: the body took time, and someone else may have paid.
                session = self._world.find(session["id"], "checkout.session")
                payment = payments.pay(
                    self._world,
                    session,
                    method=method,
                    number=fields.get("number", ""),
                    name=fields.get("name") or None,
                )
        except (FormError, UnicodeDecodeError):
            return _form(session, "The form could not be read.", 400)
        except StripeError as error:
            return _form(session, error.message, error.status)
        except DishonestAnswer as error:
            logger.exception("POST %s", request.url.path)
            return document("The simulator is wrong", f"<p>{escape(str(error))}</p>", 500)
        if payment.refusal is not None:
            return _form(session, payment.refusal, 402)
        location = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
        return RedirectResponse(location, 303, _HEADERS)


async def _fields(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAXIMUM_BODY:
            raise FormError("too large")
    return {name: value for name, value in parse(body.decode()).items() if isinstance(value, str)}


def _form(session: StripeObject, message: str = "", status: int = 200) -> Response:
    items = "".join(
        f"<li>{escape(item['description'])}: {catalogue.in_words(item['amount_total'], item['currency'])}</li>"
        for item in checkout_sessions.line_items(session)
    )
    alert = f'<p role="alert" id="message">{escape(message)}</p>' if message else ""
    described = ' aria-describedby="message" aria-invalid="true"' if message else ""
    payer = f"<p>{escape(session['customer_email'])}</p>" if session["customer_email"] else ""
    card = '<button id="card" name="method" value="card">Pay by card</button>'
    bank = (
        '<button id="us_bank_account" name="method" value="us_bank_account">Pay by US bank account</button>'
    )
    buttons = "".join(
        button
        for method, button in (("card", card), ("us_bank_account", bank))
        if method in session["payment_method_types"]
    )
    back = f'<p><a href="{escape(session["cancel_url"])}">Back</a></p>' if session["cancel_url"] else ""
    total = catalogue.in_words(session["amount_total"], session["currency"])
    return document(
        f"Pay {total}",
        f"<ul>{items}</ul>{payer}{alert}"
        '<form method="post">'
        '<label for="number">Card or account number</label>'
        f'<input id="number" name="number" inputmode="numeric" autocomplete="off" required{described}'
        f' value="{catalogue.WORKING_CARD}">'
        '<label for="name">Name (optional)</label><input id="name" name="name" autocomplete="off" maxlength="200">'
        f"{buttons}</form>{back}"
        "<h2>Test numbers</h2><ul>"
        f"<li>{catalogue.WORKING_CARD}: the card works</li><li>{catalogue.DECLINED_CARD}: the card is declined</li>"
        f"<li>{catalogue.DISPUTED_CARD}: the card works, and the payment is disputed</li>"
        f"<li>{catalogue.WORKING_BANK_ACCOUNT}, {catalogue.FAILING_BANK_ACCOUNT}: bank accounts (ACH), which"
        " are debited later</li></ul>",
        status,
    )


def document(title: str, body: str, status: int = 200) -> Response:
    """An HTML page; `title` is escaped, `body` is HTML."""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} (test mode)</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        '<p class="banner" role="status">TEST MODE: this is a simulator, no money moves.</p>'
        f"<main><h1>{escape(title)}</h1>{body}</main></body></html>",
        status,
        _HEADERS,
    )


async def paid(_: Request) -> Response:
    """`GET /paid`: where the payer lands in local stacks that have no portal. It claims nothing about payment."""
    return document(
        "Thank you",
        "<p>You have left the payment page. The invoice is updated as soon as Stripe reports.</p>",
    )
