"""One pool of connections for all tests of a process, so that a test may drop a client without closing it."""

from typing import Any, Final

import httpx

from billing.directus.client import http_client

POOL: Final = httpx.HTTPTransport()


def http(**options: Any) -> httpx.Client:
    """`billing.directus.client.http_client` over the pool."""
    return http_client(transport=POOL, **options)
