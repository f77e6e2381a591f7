"""The use cases of the money path on the real gateway, the SDK and the simulator; Directus is in memory."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from billing.messages import StripeEvent
from billing.stripe.gateway import StripeGateway
from tests.fakes.directus import FixedToken
from tests.fakes.world import World
from tests.integration.stripe_simulator.support import SECRET_KEY, RunningSimulator


class Cashier(World):
    """A `World` whose Stripe is the running simulator."""

    def __init__(self, simulator: RunningSimulator) -> None:
        super().__init__(time=datetime.now(UTC).replace(microsecond=0))
        self.simulator = simulator
        self.key = FixedToken(SECRET_KEY)
        self.gateway = StripeGateway(simulator.url, self.key)
        self.start_checkout = replace(self.start_checkout, stripe=self.gateway)
        self.invoice_writer = replace(self.invoice_writer, stripe=self.gateway)
        self.apply_event = replace(self.apply_event, stripe=self.gateway, invoice_writer=self.invoice_writer)

    def client_pays(self, session: str, **how: Any) -> Any:
        """A client pays on the hosted page."""
        return self.simulator.control(f"checkout/sessions/{session}/pay", **{"method": "card", **how})

    def stripe_delivers(self, *events: str) -> None:
        """The worker gets these events, as the receiver would have queued them."""
        for name in events:
            found = self.simulator.api("GET", f"/v1/events/{name}").json()
            described = found["data"]["object"]
            metadata = described.get("metadata") or {}
            event = StripeEvent(
                name, found["type"], described["id"], described["object"], False,
                metadata.get("directus_invoice"), metadata.get("deployment"),
            )  # fmt: skip
            self.apply_event(event)
        self.drain()

    def fail_next(self, **fault: Any) -> None:
        """Order a failure of the next session creations."""
        self.simulator.control("fail_next", **{"operation": "POST /v1/checkout/sessions", **fault})

    def sessions(self) -> list[Any]:
        """Every session at Stripe, newest first."""
        data: list[Any] = self.simulator.api("GET", "/v1/checkout/sessions?limit=100").json()["data"]
        return data
