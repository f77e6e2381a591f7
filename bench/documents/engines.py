"""The engines that are compared: their names, how each is started, and what its documents lack beside ours."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.documents.chromium import program
from local.setup.paths import DEVELOPMENT, ROOT, python_environment

if TYPE_CHECKING:
    from pathlib import Path

    from bench.documents.software import Software

OURS: Final = "ours"
LIMITED: Final = "ours, limited"
STOCK: Final = "stock WeasyPrint"
STOCK_WITHOUT_BYTE_CODE: Final = "stock, no byte code"
CHROMIUM: Final = "warm Chromium"
TYPST: Final = "Typst"
REPORTLAB: Final = "ReportLab"


@dataclass(frozen=True)
class Contestant:
    """`command` asks for `worker`; `cold_only`: it differs from another one by its start alone."""

    name: str
    command: list[str]
    variables: dict[str, str]
    lacks: str
    cold_only: bool = False


def contestants(software: Software) -> list[Contestant]:
    """All that this machine can run, ours and stock WeasyPrint first."""
    return [
        *_weasyprints(software),
        *([_chromium()] if program() else []),
        *_with_their_own_templates(software),
    ]


def _weasyprints(software: Software) -> list[Contestant]:
    """Everything of WeasyPrint is drawn by the same interpreter, libraries and fonts."""
    variables = {**software.variables, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC"}

    def contestant(
        name: str, module: str, packages: list[Path], lacks: str, *, cold_only: bool = False
    ) -> Contestant:
        path = os.pathsep.join(str(part) for part in (*packages, ROOT))
        # -S: what this machine has installed beside its Python, and starts with it, is not on Lambda.
        command = worker(f"{sys.base_prefix}/bin/python3.13", module, "-S")
        return Contestant(name, command, {**variables, "PYTHONPATH": path}, lacks, cold_only)

    ours, stock = [software.packages, *software.others], [software.packages]
    return [
        contestant(
            OURS, "ours", ours, "It makes the HTML as well, which stock WeasyPrint and Chromium are given."
        ),
        contestant(
            LIMITED,
            "limited",
            ours,
            "The same through LimitedRenderer, as production draws: warmed first, then a fork for each document, whose "
            "memory it is.",
        ),
        contestant(
            STOCK,
            "stock",
            stock,
            "Our HTML and style, pdf/a-3b, tags. No header scopes, running heads outside the tags, no claim of PDF/UA.",
        ),
        contestant(
            STOCK_WITHOUT_BYTE_CODE,
            "stock",
            [software.without_byte_code],
            "The same; as pip leaves it in a layer.",
            cold_only=True,
        ),
    ]


def _chromium() -> Contestant:
    return Contestant(
        CHROMIUM,
        worker(str(DEVELOPMENT / "bin/python"), "chromium"),
        {**os.environ, "PYTHONPATH": str(ROOT)},
        "Our HTML and style, tagged. No PDF/A at all; it knows no running elements, so heads and feet stand once, at "
        "the beginning, and say page 0 of 0; fonts as drawings (Type 3).",
    )


def _with_their_own_templates(software: Software) -> list[Contestant]:
    python = str(python_environment("bench") / "bin/python")
    variables = {
        "BENCH_FONTS": str(software.fonts),
        "LANG": "C.UTF-8",
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT),
        "TZ": "UTC",
    }
    texts = "A template of its own, texts formatted beforehand; "
    return [
        Contestant(
            TYPST,
            worker(python, "typst"),
            variables,
            f"{texts}PDF/A-3a and PDF/UA-1, heads repeated, scopes of columns. Row headers need an experimental "
            "switch; totals may stand alone on a page; no Factur-X, no templates of a firm's own in HTML.",
        ),
        Contestant(
            REPORTLAB,
            worker(python, "reportlab"),
            variables,
            f"{texts}heads repeated. No tags, no PDF/A, no header scopes, no right-to-left or shaping, no fallback to "
            "other fonts, DejaVu Sans instead of Inter; totals may stand alone on a page.",
        ),
    ]


def worker(python: str, module: str, *options: str) -> list[str]:
    """The command that starts an engine's worker."""
    usual = ["-s", "-P", "-W", "ignore", "-m", "bench.documents.worker"]
    return [python, *options, *usual, f"bench.documents.{module}"]
