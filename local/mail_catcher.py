"""Catches every e-mail of the local stack: SMTP on one port, what arrived on another.

    python -m local.mail_catcher --smtp-port N --http-port N --directory DIRECTORY

`GET /messages` -> `[{"id", "from", "to", "subject", "text", "html", "attachments", "received_at"}, ...]`,
oldest first; `GET /` a page for people; `DELETE /messages` forgets all. Messages stay on disk, one file each.
"""

import argparse
import html
import json
import signal
import threading
import uuid
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, override

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

HOST: Final = "127.0.0.1"
MESSAGE_BYTES: Final = 25 * 1024 * 1024


class Mailbox:
    """The messages on disk, `<time>-<id>.json` each, so that their names sort by arrival."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._directory.mkdir(parents=True, exist_ok=True)

    def add(self, sender: str, recipients: list[str], content: bytes) -> None:
        """Keep one message as it came over SMTP."""
        message = message_from_bytes(content, policy=policy.default)
        received = datetime.now(UTC)
        identifier = uuid.uuid4().hex
        record = {
            "id": identifier,
            "from": sender,
            "to": recipients,
            "subject": str(message.get("Subject", "")),
            "text": _body(message, "plain"),
            "html": _body(message, "html"),
            "attachments": [part.get_filename() for part in message.iter_attachments()],
            "received_at": received.isoformat(),
        }
        name = f"{received.strftime('%Y%m%dT%H%M%S%f')}-{identifier}.json"
        writing = self._directory / f".{name}"
        writing.write_text(json.dumps(record, ensure_ascii=False, indent=2))
        writing.rename(self._directory / name)

    def messages(self) -> list[dict[str, Any]]:
        """Return every message, oldest first."""
        return [json.loads(path.read_text()) for path in sorted(self._directory.glob("[0-9]*.json"))]

    def clear(self) -> None:
        """Forget every message."""
        for path in self._directory.glob("[0-9]*.json"):
            path.unlink(missing_ok=True)


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    return "" if part is None else str(part.get_content())


class Receiver:
    """What aiosmtpd calls for each message."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the message and accept it."""
        del server, session
        content = envelope.content or b""
        raw = content.encode() if isinstance(content, str) else content
        self._mailbox.add(envelope.mail_from or "", list(envelope.rcpt_tos), raw)
        return "250 kept"


def page(messages: list[dict[str, Any]]) -> str:
    """Return the messages as a page, newest first; mail's own HTML is shown in a sandboxed frame."""
    articles = [
        f"<article><h2>{html.escape(message['subject'])}</h2>"
        f"<p>{html.escape(message['from'])} &rarr; {html.escape(', '.join(message['to']))},"
        f" {html.escape(message['received_at'])}</p>"
        f"<pre>{html.escape(message['text'])}</pre>"
        + (f'<iframe sandbox srcdoc="{html.escape(message["html"])}"></iframe>' if message["html"] else "")
        + "</article>"
        for message in reversed(messages)
    ]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Caught e-mail</title>"
        "<style>body{font:16px sans-serif;max-width:60rem;margin:2rem auto}pre{white-space:pre-wrap}"
        "iframe{width:100%;height:30rem;border:1px solid #ccc}</style>"
        f"<h1>Caught e-mail ({len(messages)})</h1>{''.join(articles) or '<p>Nothing has arrived.</p>'}"
    )


def http_server(mailbox: Mailbox, port: int) -> ThreadingHTTPServer:
    """Return the server that shows the mailbox."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/messages":
                self._answer(HTTPStatus.OK, json.dumps(mailbox.messages()), "application/json")
            elif self.path == "/":
                self._answer(HTTPStatus.OK, page(mailbox.messages()), "text/html; charset=utf-8")
            else:
                self._answer(HTTPStatus.NOT_FOUND, "Not here.\n", "text/plain")

        def do_DELETE(self) -> None:
            if self.path != "/messages":
                self._answer(HTTPStatus.NOT_FOUND, "Not here.\n", "text/plain")
                return
            mailbox.clear()
            self._answer(HTTPStatus.OK, "[]", "application/json")

        def _answer(self, status: HTTPStatus, body: str, kind: str) -> None:
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: callers that wait for a mail poll."""

    return ThreadingHTTPServer((HOST, port), Handler)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="local.mail_catcher")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    arguments = parser.parse_args()
    mailbox = Mailbox(arguments.directory)
    smtp = Controller(
        Receiver(mailbox), hostname=HOST, port=arguments.smtp_port, data_size_limit=MESSAGE_BYTES
    )
    server = http_server(mailbox, arguments.http_port)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    smtp.start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(
        f"e-mail is caught on {HOST}:{arguments.smtp_port}, shown at http://{HOST}:{arguments.http_port}/",
        flush=True,
    )
    ended.wait()
    server.shutdown()
    server.server_close()
    smtp.stop()


if __name__ == "__main__":
    main()
