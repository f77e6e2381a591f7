"""Every refusal that staff can meet in the Data Studio has a title in every language, and no title is left over."""

import inspect
import re

import pytest

from billing import errors
from billing.aws import queues, secrets
from billing.directus import client as directus
from billing.documents import request as request_rendering
from directus.flows import flows
from directus.probe import EXTENSION
from directus.translations import compare, languages, titles

#: What the Data Studio has words for itself.
OF_DIRECTUS = {"FORBIDDEN", "INVALID_CREDENTIALS", "RECORD_NOT_UNIQUE", "REQUESTS_EXCEEDED"}

#: Codes of an answer that Render again cannot get: what it sends is an object with ids of rows that exist, and it reads few.
NOT_MET = {"NOTHING_TO_DO", "INVALID_FORCE", "CONFLICT", "BAD_REQUEST", "OUT_OF_TIME", "ANSWER_TOO_LARGE"}

#: What the modules behind Render again raise without a code of their own, or far from there.
DEFAULTS = {"UNAUTHENTICATED", "NOT_FOUND", "TOO_MANY_IDS", "INTERNAL_ERROR", "CONNECTION_FAILED"}


def _guards() -> set[str]:
    text = "".join(path.read_text("utf-8") for path in sorted((EXTENSION / "dist").glob("*.js")))
    return set(re.findall(r"(?:invalid|locked|Refusal)\(\s*(?:\d+,\s*)?'([A-Z_]+)'", text))


def _flows() -> set[str]:
    operations = [operation for flow in flows() for operation in flow.operations]
    return {
        operation["options"]["code"]
        for operation in operations
        if operation["type"] == "throw-error" and "{{" not in operation["options"]["code"]
    }


def _render_agains() -> set[str]:
    """The codes in the modules that answer it, and those of the classes they raise without one."""
    found = set()
    for module in (request_rendering, queues, secrets, directus):
        source = inspect.getsource(module)
        found |= {code.upper() for code in re.findall(r'code="([a-z_]+)"', source)}
        for name in re.findall(r"\b([A-Z][A-Za-z]+)\(message", source):
            raised = getattr(errors, name, None)
            if raised is not None:
                found.add(raised.default_code.upper())
    return found


def test_every_code_has_a_title_and_no_title_is_left_over() -> None:
    codes = (_guards() | _flows() | _render_agains() | DEFAULTS) - OF_DIRECTUS - NOT_MET
    assert len(_guards()) > 20
    assert {"INVOICE_IS_DRAFT", "NO_RECEIPT_DUE"} <= _render_agains()
    assert set(titles()) == codes


@pytest.mark.parametrize("code", titles())
def test_a_title_is_short_and_there_in_every_language(code: str) -> None:
    assert set(titles()[code]) == set(languages().values())
    for title in titles()[code].values():
        # Braces, @ and | mean something to the Data Studio.
        assert re.fullmatch(r"[^{}@|$]{8,70}", title)
        assert title == title.strip().rstrip(".")


def test_only_what_is_missing_is_created_and_the_firms_own_words_stay() -> None:
    code, *_ = titles()
    there = [
        {"language": language, "key": f"errors.{code}"}
        for language in languages()
        for code in titles()
        if (language, code) != ("de-DE", "INVOICE_FROZEN")
    ]
    [change] = compare([*there, {"language": "it-IT", "key": f"errors.{code}"}])
    assert (change.method, change.path, change.summary) == (
        "POST",
        "/translations",
        "create 1 titles of refusals in de-DE",
    )
    title = titles()["INVOICE_FROZEN"]["de"]
    assert change.body == [{"language": "de-DE", "key": "errors.INVOICE_FROZEN", "value": title}]
    assert len(compare([])) == len(languages())
