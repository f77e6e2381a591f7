"""What the simulator's tests stand on: a running simulator, a webhook endpoint, and waiting for a condition."""

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import stripe

from local.stripe_simulator.application import Configuration, server
from local.waiting import wait_for
from tests.integration.connections import http

SECRET_KEY = "sk_test_51simulator"
WEBHOOK_SECRET = "whsec_simulator"
DEADLINE = 10.0


class Receiver:
    """A webhook endpoint that verifies every signature with the SDK and keeps what it was sent."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.headers: list[str] = []
        self.rejected: list[str] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                header = self.headers["stripe-signature"]
                try:
                    stripe.WebhookSignature.verify_header(body, header, WEBHOOK_SECRET, 300)
                except stripe.SignatureVerificationError as error:
                    receiver.rejected.append(str(error))
                receiver.events.append(json.loads(body))
                receiver.headers.append(header)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/stripe/webhook"

    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class RunningSimulator:
    """The real server over loopback, in a thread of this process."""

    def __init__(
        self, specification: Path, state_file: Path, webhook_url: str | None, **options: Any
    ) -> None:
        # Named TCP, not the default 0: only then does asyncio switch off Nagle's delay of 40 ms per answer.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
        configuration = Configuration(
            **{
                "host": "127.0.0.1",
                "port": port,
                "secret_key": SECRET_KEY,
                "state_file": state_file,
                "specification": specification,
                "webhook_secrets": (WEBHOOK_SECRET,),
                "webhook_url": webhook_url,
                "retry_delays": (0.05, 0.05, 0.05),
                "fee_delay": 0.0,
                **options,
            }
        )
        self.url = f"http://127.0.0.1:{port}"
        self._server = server(configuration)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        self.http = http()
        wait_for("the simulator to start", lambda: self._server.started)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(DEADLINE)

    def client(self, **options: Any) -> stripe.StripeClient:
        return stripe.StripeClient(
            **{
                "api_key": SECRET_KEY,
                "base_addresses": {"api": self.url},
                "http_client": stripe.RequestsClient(timeout=(2, 5)),
                **options,
            }
        )

    def call(self, method: str, path: str, *, body: Any = None, **options: Any) -> httpx.Response:
        return self.http.request(method, f"{self.url}{path}", content=body, **options)

    def api(
        self, method: str, path: str, *, headers: dict[str, Any] | None = None, body: Any = None
    ) -> httpx.Response:
        given: dict[str, Any] = {
            "Authorization": f"Bearer {SECRET_KEY}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return self.call(method, path, headers=given | (headers or {}), body=body)

    def control(self, path: str, **given: Any) -> Any:
        answer = self.call("POST", f"/_test/{path}", json=given)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def deliveries(self) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = self.call("GET", "/_test/deliveries").json()["data"]
        return data

    def settled(self) -> None:
        """Returns when no delivery waits."""
        wait_for("all deliveries", lambda: not self.call("GET", "/_test/deliveries").json()["waiting"])

    def post_form(self, url: str, **fields: str) -> httpx.Response:
        return self.http.post(url, data=fields)


#: Starts a simulator with other options than the usual ones.
type Start = Callable[..., RunningSimulator]


def parameters(**changes: Any) -> Any:
    """What the product sends to open a session; `amount` and `currency` change its only line item.

    `Any` and not the SDK's `SessionCreateParams`, because some tests send what the SDK's types forbid.
    """
    price = {
        "currency": changes.pop("currency", "usd"),
        "unit_amount": changes.pop("amount", 125000),
        "product_data": {"name": "Invoice 2026-0042"},
    }
    return {
        "mode": "payment",
        "client_reference_id": "invoice-42",
        "customer_email": "jenny@example.com",
        "line_items": [{"quantity": 1, "price_data": price}],
        "allowed_payment_method_types": ["card"],
        "adaptive_pricing": {"enabled": False},
        "submit_type": "pay",
        "metadata": {"directus_invoice": "42", "deployment": "test"},
        "payment_intent_data": {
            "metadata": {"directus_invoice": "42", "directus_payment": "7"},
            "description": "Invoice 2026-0042",
        },
        "success_url": "https://portal.example/paid?sid={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://portal.example/invoices/42",
        **changes,
    }
