"""`python -m bench.upstreams`: Directus and Stripe answering from memory, in a process of their own.

So that the processor time of another process is that process's own. Prints one line of JSON, `{"directus": url,
"stripe": url, "secret_key": …}`, and serves until its standard input ends. Directus is the fake of the unit tests
behind HTTP; `PUT /<collection>` puts a row there as an administrator would. Stripe is
the simulator.
"""

import http.server
import json
import sys
import tempfile
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from local.stripe_simulator.specification import obtain
from tests.fakes.directus import FakeDirectus
from tests.integration.stripe_simulator.support import SECRET_KEY, RunningSimulator


class Handler(http.server.BaseHTTPRequestHandler):
    """Hands every request to the fake, one at a time."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one segment: no waiting for an acknowledgement
    disable_nagle_algorithm = True
    directus = FakeDirectus()
    alone = threading.Lock()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        with self.alone:
            try:
                status, answer = self._asked(body)
            except (AssertionError, KeyError) as error:
                status, answer = HTTPStatus.NOT_IMPLEMENTED, repr(error).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _asked(self, body: bytes) -> tuple[int, bytes]:
        if self.command == "PUT":
            row: dict[str, Any] = json.loads(body)
            collection = self.path.strip("/")
            if collection.startswith("directus_"):
                self.directus.table(collection)[row["id"]] = (
                    row  # Directus's own columns are not in our model
                )
            else:
                self.directus.put(collection, **row)
            return HTTPStatus.OK, b"{}"
        request = httpx.Request(self.command, f"http://directus{self.path}", content=body)
        answer = self.directus.answer(request)
        self.directus.requests.clear()
        return answer.status_code, answer.content

    do_GET = do_POST = do_PUT = do_PATCH = do_SEARCH = _answer  # noqa: N815  # the base class's names

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until standard input ends."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as directory:
        stripe = RunningSimulator(obtain(), Path(directory) / "state.sqlite", None)
        urls = {
            "directus": f"http://127.0.0.1:{server.server_port}",
            "stripe": stripe.url,
            "secret_key": SECRET_KEY,
        }
        print(json.dumps(urls), flush=True)
        sys.stdin.read()
        stripe.close()
        server.shutdown()


if __name__ == "__main__":
    main()
