"""What a reminder says: the texts are files under `templates/reminder/`, amounts and dates as the reader writes them."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from billing.formats import formats_of, locale_of
from billing.reminders.mail import Mail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.reminders.policy import Contact, Firm, Remind


TEMPLATES = Path(__file__).parent.parent / "templates" / "reminder"


class ReminderTexts:
    """Composes reminders in the client's language, else the firm's, else English."""

    def __init__(self, portal_url: str = "", directory: Path = TEMPLATES) -> None:
        """`portal_url` is empty while there is no portal; then no link is printed."""
        self._portal_url = portal_url.rstrip("/")
        self._directory = directory

    def compose(self, remind: Remind, *, invoice_number: str, contact: Contact, firm: Firm) -> Mail:
        """The mail of one step."""
        tag = self.language(contact.language, firm.language)
        locale = locale_of(tag)
        formats = formats_of(locale)
        values = {
            "invoice_number": invoice_number,
            "client_name": contact.name,
            "due_date": formats["long_date"](remind.due_date),
            "balance_due": formats["money"](remind.balance_due),
        }
        text = self._text(locale.language, remind.step, values)
        context = {
            **values,
            "text": text,
            "firm": firm,
            "language": str(locale).replace("_", "-"),
            "portal_link": f"{self._portal_url}/invoices/{remind.invoice}" if self._portal_url else "",
        }
        templates = _environment(self._directory)
        return Mail(
            sender_name=firm.name,
            recipient=contact.email,
            reply_to=firm.email,
            subject=text["subject"],
            text=templates.get_template("reminder.txt.jinja").render(context),
            html=templates.get_template("reminder.html.jinja").render(context),
        )

    def language(self, *tags: str) -> str:
        """The first BCP 47 tag whose language there are texts in, else English."""
        return next((tag for tag in tags if _primary(tag) in _languages(self._directory)), "en")

    def _text(self, language: str, step: str, values: Mapping[str, str]) -> dict[str, str]:
        """Every sentence of the language and the step, with the values filled in."""
        document = _texts(self._directory, language)
        sentences = {key: value for key, value in document.items() if isinstance(value, str)}
        return {key: value.format_map(values) for key, value in (sentences | document[step]).items()}


def _primary(tag: str) -> str:
    return tag.replace("_", "-").split("-")[0].lower()


@cache
def _languages(directory: Path) -> frozenset[str]:
    return frozenset(path.stem for path in directory.glob("*.toml"))


@cache
def _texts(directory: Path, language: str) -> Mapping[str, Any]:
    return tomllib.loads((directory / f"{language}.toml").read_text(encoding="utf-8"))


@cache
def _environment(directory: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader(directory),
        autoescape=select_autoescape(enabled_extensions=("html.jinja",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
