"""A firm's own template and style, in place of ours: parsed here, and refused where they are not safe to fill in.

Whoever may write the files decides how invoices look, not what runs: Jinja2's sandbox, a short list of filters, and
nothing that turns escaping off. So what clients and staff have typed stays text in every template, however careless.
"""

from __future__ import annotations

import hashlib
import tomllib
import traceback
from collections.abc import Callable, Container, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from babel import Locale
from jinja2 import DictLoader, Environment, StrictUndefined, Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from billing.documents.invoice import LANGUAGES
from billing.documents.template import DocumentTemplate, filters_of
from billing.errors import RenderFailed

if TYPE_CHECKING:
    from billing.documents.invoice import PrintedInvoice


#: Filters of Jinja2's own that neither mark text as safe nor make addresses of it.
_FILTERS = frozenset({
    "abs", "batch", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "groupby", "join", "last",
    "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "select",
    "selectattr", "slice", "sort", "string", "sum", "title", "trim", "truncate", "unique", "upper", "wordcount",
})  # fmt: skip
_GLOBALS = ("range", "namespace")
_QUOTED_CHARACTERS = 200


class TemplateRefused(Exception):
    """Why the firm's files cannot be used: a clause without a full stop that names the file."""


class FirmTemplate(DocumentTemplate):
    """Renders invoices from the firm's files; whatever it has no file of is ours, receipts above all.

    `invoice.html`, other `*.html` that it includes, `invoice.css`, and `labels/<language>.toml` with those labels that
    are to say something else.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Raise `TemplateRefused` unless every file can be used."""
        super().__init__()
        self._files = {name: _text(name, content) for name, content in files.items()}
        unknown = sorted(name for name in self._files if not _is_known(name))
        if unknown:
            _refuse(
                f"{unknown[0]} is none of invoice.html, invoice.css, other .html files and labels/<language>.toml"
            )
        if not any(name in {"invoice.html", "invoice.css"} or _is_labels(name) for name in self._files):
            _refuse("there is no invoice.html, invoice.css or labels/<language>.toml")
        self._html = {name: text for name, text in self._files.items() if name.endswith(".html")}
        for name, text in self._html.items():
            _check_markup(name, text)
        self._changed_labels = {
            language: self._parsed_labels(language)
            for language in LANGUAGES
            if _labels_file(language) in self._files
        }
        digest = hashlib.sha256(super().version.encode())
        for name in sorted(files):
            digest.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
        self._version = digest.hexdigest()

    @property
    def version(self) -> str:
        """The hash of the firm's files and of ours, which fill the gaps."""
        return self._version

    @property
    def is_well_formed(self) -> bool:
        """Only where markup and style are ours: a firm may leave out end tags, and make lists and footnotes by style."""
        return not self._html and "invoice.css" not in self._files

    @property
    def style(self) -> str:
        """The firm's style sheet, else ours."""
        return self._files.get("invoice.css") or super().style

    def invoice_labels(self, language: str) -> Mapping[str, Any]:
        """Our labels with the firm's instead."""
        ours = super().invoice_labels(language)
        return _merged(ours, self._changed_labels.get(language, {}))

    def invoice_template(self, locale: Locale) -> Template:
        """The firm's template in the sandbox, else ours."""
        if "invoice.html" not in self._html:
            return super().invoice_template(locale)
        return _environment(tuple(sorted(self._html.items())), locale).get_template("invoice.html")

    def invoice_html(self, printed: PrintedInvoice) -> str:
        """Raise `RenderFailed` where the template cannot be filled in with this invoice."""
        try:
            return super().invoice_html(printed)
        except Exception as error:  # noqa: BLE001  # a template can call for anything, and break on this invoice alone
            failure, quote = f"{type(error).__name__}{_line_of(error, self._html)}", str(error)
        message = f"The firm's own template cannot be filled in ({failure})."
        raise RenderFailed(message, quote=quote[:_QUOTED_CHARACTERS], invoice=printed.id)

    def _parsed_labels(self, language: str) -> dict[str, Any]:
        name = _labels_file(language)
        try:
            labels = tomllib.loads(self._files[name])
        except tomllib.TOMLDecodeError as error:
            _refuse(f"{name} is no TOML ({error})")
        _check_labels(name, labels, super().invoice_labels(language))
        return labels


def _refuse(reason: str) -> NoReturn:
    raise TemplateRefused(reason)


def _is_known(name: str) -> bool:
    return name == "invoice.css" or name.endswith(".html") or _is_labels(name)


def _is_labels(name: str) -> bool:
    return name in map(_labels_file, LANGUAGES)


def _labels_file(language: str) -> str:
    return f"labels/{language}.toml"


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        _refuse(f"{name} is not written in UTF-8")


def _check_markup(name: str, text: str) -> None:
    """Compile it, and look for what would turn escaping off (the environment knows no filter that does)."""
    environment = _sandbox(Locale("en"))
    try:
        parsed = environment.parse(text, name)
        environment.compile(text, name)
    except TemplateError as error:
        _refuse(f"{name}{_place(error)}: {str(error.message).removesuffix('.')}")
    if found := parsed.find(nodes.EvalContextModifier):
        _refuse(f"{name}, line {found.lineno}: escaping is always on and cannot be changed")


def _place(error: TemplateError) -> str:
    line = getattr(error, "lineno", None)
    return f", line {line}" if line else ""


def _line_of(error: Exception, files: Container[str]) -> str:
    """Where in which file: Jinja2 puts its lines into the traceback, under the names that `_Files` gives."""
    # Not `extract_tb`, which would look for files of these names to quote from.
    places = [
        f", {frame.f_code.co_filename}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename in files
    ]
    return places[-1] if places else ""


def _check_labels(name: str, labels: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    for key, value in labels.items():
        known = ours.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            _check_labels(f"{name}, {key}", value, known)
        elif not isinstance(known, str):
            _refuse(f"{name}: there is no label {key}")
        elif not isinstance(value, str) or not value.strip():
            _refuse(f"{name}: {key} must be a text")


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _merged(value, theirs.get(key, {})) if isinstance(value, Mapping) else theirs.get(key, value)
        for key, value in ours.items()
    }


@lru_cache(maxsize=16)
def _environment(html: tuple[tuple[str, str], ...], locale: Locale) -> ImmutableSandboxedEnvironment:
    return _sandbox(locale, _Files(dict(html)))


class _Files(DictLoader):
    """Compiles each file under its own name, so that what breaks while it is filled in can be told."""

    def get_source(  # type: ignore[override]  # DictLoader narrows what BaseLoader allows: the name of a file
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, _, is_current = super().get_source(environment, template)
        return source, template, is_current


def _sandbox(locale: Locale, loader: DictLoader | None = None) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters = {name: environment.filters[name] for name in _FILTERS} | filters_of(locale)
    environment.globals = {name: environment.globals[name] for name in _GLOBALS}
    return environment
