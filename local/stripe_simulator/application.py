"""Puts the parts together: one ASGI application, its memory and its delivery loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route

from local.stripe_simulator.api import Api
from local.stripe_simulator.connections import CuttableProtocol
from local.stripe_simulator.control import Control
from local.stripe_simulator.hosted_page import HostedPage, paid
from local.stripe_simulator.openapi import StripeDocument
from local.stripe_simulator.store import Store
from local.stripe_simulator.webhooks import (
    AT_A_TIME,
    MOST_AT_A_TIME,
    RETRY_DELAYS,
    Deliverer,
    Endpoint,
    Send,
    post,
)
from local.stripe_simulator.world import World

LOOPBACK = ("127.0.0.1", "localhost")
_ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class InvalidConfiguration(ValueError):
    """The simulator refuses to start; the message has the reason."""


@dataclass(frozen=True)
class Configuration:
    """How to start the simulator.

    `webhook_secrets`: whsec_… of the endpoint, the newest first; `webhook_url` None means there is no endpoint;
    `webhook_events`: types it subscribed to, None for all; `state_file` holds everything and is created if missing;
    `retry_delays` and `fee_delay` in seconds; `at_a_time` deliveries are under way at once.
    """

    host: str
    port: int
    secret_key: str
    state_file: Path
    specification: Path
    webhook_secrets: tuple[str, ...] = ()
    webhook_url: str | None = None
    webhook_events: frozenset[str] | None = None
    retry_delays: Sequence[float] = RETRY_DELAYS
    fee_delay: float = 1.0
    at_a_time: int = AT_A_TIME

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK:
            raise InvalidConfiguration(f"The simulator only listens on loopback, not on {self.host}.")
        if not self.secret_key.startswith("sk_test_"):
            raise InvalidConfiguration(
                "The secret key must begin with sk_test_: the simulator takes no live key."
            )
        if not 1 <= self.at_a_time <= MOST_AT_A_TIME:
            raise InvalidConfiguration(f"From 1 to {MOST_AT_A_TIME} deliveries can run at a time.")
        if self.webhook_url is not None and not self.webhook_secrets:
            raise InvalidConfiguration("A webhook URL needs a webhook secret.")
        if any(
            not secret.startswith("whsec_") or secret != secret.strip() for secret in self.webhook_secrets
        ):
            raise InvalidConfiguration("A webhook secret begins with whsec_ and has no spaces around it.")


def build(configuration: Configuration, *, port: int, send: Send = post) -> Starlette:
    """The application; `port` is where it listens (session URLs name it), `send` delivers webhooks."""
    world = World(
        store=Store(configuration.state_file),
        document=StripeDocument.load(configuration.specification),
        base_url=f"http://{configuration.host}:{port}",
        has_endpoint=configuration.webhook_url is not None,
        webhook_events=configuration.webhook_events,
        fee_delay=configuration.fee_delay,
    )
    endpoint = (
        None
        if configuration.webhook_url is None
        else Endpoint(configuration.webhook_url, configuration.webhook_secrets)
    )
    deliverer = Deliverer(
        world,
        endpoint,
        send=send,
        retry_delays=configuration.retry_delays,
        at_a_time=configuration.at_a_time,
    )
    world.on_change = deliverer.wake

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, dict[str, object]]]:
        task = asyncio.create_task(deliverer.run())
        yield {"open_connections": {}}
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        world.store.close()

    api = Api(world, configuration.secret_key)
    routes = [
        *Control(world, lambda: deliverer.defects).routes(),
        Route("/c/pay/{session}", HostedPage(world).__call__, methods=["GET", "POST"]),
        Route("/paid", paid, methods=["GET"]),
        Route("/{path:path}", api.__call__, methods=_ALL_METHODS),
    ]
    # A page of another origin must not reach the simulator by a name that resolves to loopback.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK])
    return Starlette(routes=routes, middleware=[hosts], lifespan=lifespan)


def server(configuration: Configuration, *, port: int | None = None, send: Send = post) -> uvicorn.Server:
    """The simulator as a server, ready to `run()`; `port` when it differs from the configuration's (0)."""
    application = build(configuration, port=configuration.port if port is None else port, send=send)
    return uvicorn.Server(
        uvicorn.Config(
            application,
            host=configuration.host,
            port=configuration.port if port is None else port,
            http=CuttableProtocol,
            ws="none",
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )
