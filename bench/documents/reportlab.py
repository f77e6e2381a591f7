"""ReportLab's Platypus, with a template of its own in Python; its open edition makes neither tags nor PDF/A."""

from __future__ import annotations

import io
import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bench.documents.engine import InThisProcess

ACCENT, QUIET, RULE, FAINT = "#1d3a5f", "#5d6875", "#c9d0d8", "#e2e6eb"
MILLIMETRE: Final = 72 / 25.4
COLUMNS: Final = [length * MILLIMETRE for length in (22, 26, 72.9, 13, 18, 26)]
WIDTH: Final = sum(COLUMNS)
MARGINS: Final = {
    "leftMargin": 20 * MILLIMETRE - 6,  # a frame has 6 points of padding
    "rightMargin": 18 * MILLIMETRE - 6,
    "topMargin": 20 * MILLIMETRE,
    "bottomMargin": 21 * MILLIMETRE,
}
LETTER: Final = (612, 792)


class ReportLab(InThisProcess):
    """Its fonts must be TrueType (Inter has PostScript outlines, which it cannot embed): DejaVu Sans."""

    def __init__(self) -> None:
        self._platypus: Any = None
        self._canvas: Any = None
        self._styles: dict[str, Any] = {}
        self._colour: Any = None

    def load(self) -> None:
        """Platypus, and what it imports."""
        self._platypus = import_module("reportlab.platypus")
        self._canvas = import_module("reportlab.pdfgen.canvas")
        self._colour = import_module("reportlab.lib.colors").HexColor

    def prepare(self) -> None:
        """Read the fonts, name the styles."""
        metrics, fonts = (
            import_module("reportlab.pdfbase.pdfmetrics"),
            import_module("reportlab.pdfbase.ttfonts"),
        )
        for name, file in (("Sans", "DejaVuSans.ttf"), ("Bold", "DejaVuSans-Bold.ttf")):
            found = next(Path(os.environ["BENCH_FONTS"]).rglob(file))
            metrics.registerFont(fonts.TTFont(name, str(found)))
        metrics.registerFontFamily("Sans", normal="Sans", bold="Bold", italic="Sans", boldItalic="Bold")
        for name, size, font, colour in (
            ("text", 8, "Sans", "#1b232d"),
            ("small", 7, "Sans", QUIET),
            ("firm", 15, "Bold", ACCENT),
            ("h1", 21, "Sans", ACCENT),
            ("h2", 9.5, "Bold", ACCENT),
        ):
            self._styles[name] = import_module("reportlab.lib.styles").ParagraphStyle(
                name, fontName=font, fontSize=size, leading=size * 1.4, textColor=self._colour(colour)
            )

    def read(self, document: Path) -> dict[str, Any]:
        """The invoice's texts."""
        texts: dict[str, Any] = json.loads(document.with_suffix(".json").read_text())
        return texts

    def draw(self, document: dict[str, Any]) -> bytes:
        """Return the PDF."""
        written = io.BytesIO()
        paper = self._platypus.SimpleDocTemplate(
            written,
            pagesize=LETTER,
            title=document["title"],
            author=document["letterhead"][0],
            lang=document["language"],
            **MARGINS,
        )
        story = [
            *self._head(document),
            *(part for group in document["groups"] for part in self._group(group)),
            *self._foot(document),
        ]
        paper.build(story, canvasmaker=numbered(self._canvas.Canvas, document))
        return written.getvalue()

    def _text(self, style: str, *lines: str) -> Any:
        escaped = (line.replace("&", "&amp;").replace("<", "&lt;") for line in lines if line)
        return self._platypus.Paragraph("<br/>".join(escaped), self._styles[style])

    def _head(self, document: dict[str, Any]) -> list[Any]:
        table, space, line = self._platypus.Table, self._platypus.Spacer, self._colour(RULE)
        letterhead = table(
            [[self._text("firm", document["firm"]), self._text("small", *document["letterhead"])]],
            [WIDTH * 0.62, WIDTH * 0.38],
            style=[
                ("LINEBELOW", (0, 0), (-1, 0), 1.2, self._colour(ACCENT)),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ],
        )
        facts = table(
            [(self._text("small", name), self._text("text", value)) for name, value in document["facts"]],
            [WIDTH * 0.2, WIDTH * 0.3],
            style=[("LINEBELOW", (0, 0), (-1, -1), 0.4, line)],
        )
        client = [
            self._text("small", document["invoice_to"].upper()),
            self._text("text", *document["client"]),
        ]
        summary = table(
            [[client, facts]], [WIDTH / 2, WIDTH / 2], style=[("VALIGN", (0, 0), (-1, -1), "TOP")]
        )
        heading = self._text("h1", document["heading"])
        return [letterhead, space(1, 12), heading, space(1, 8), summary, space(1, 10)]

    def _group(self, group: dict[str, Any]) -> list[Any]:
        rows: list[list[Any]] = [
            [
                date, self._text("text", timekeeper), self._text("text", f"{code} {description}"),
                hours, rate, amount,
            ]
            for date, timekeeper, code, description, hours, rate, amount in group["rows"]
        ]  # fmt: skip
        name, hours, amount = group["subtotal"]
        style = [
            ("FONT", (0, 0), (-1, -1), "Sans", 8),
            ("FONT", (0, 0), (-1, 0), "Bold", 7),
            ("FONT", (0, -1), (-1, -1), "Bold", 8),
            ("ALIGN", (3, 0), (-1, -1), "RIGHT"),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, self._colour(ACCENT)),
            ("LINEBELOW", (0, 1), (-1, -2), 0.4, self._colour(FAINT)),
            ("SPAN", (0, -1), (2, -1)),
            ("NOSPLIT", (0, -2), (-1, -1)),
        ]
        table = self._platypus.LongTable(
            [group["heads"], *rows, [name, "", "", hours, "", amount]], COLUMNS, repeatRows=1, style=style
        )
        return [self._text("h2", group["name"]), table, self._platypus.Spacer(1, 12)]

    def _foot(self, document: dict[str, Any]) -> list[Any]:
        platypus = self._platypus
        totals = platypus.Table(
            document["totals"],
            [WIDTH * 0.25, WIDTH * 0.25],
            hAlign="RIGHT",
            style=[
                ("FONT", (0, 0), (-1, -1), "Sans", 8),
                ("FONT", (0, -1), (-1, -1), "Bold", 11),
                ("ALIGN", (1, 0), (1, -1), "RIGHT"),
                ("LINEABOVE", (0, -1), (-1, -1), 1.2, self._colour(ACCENT)),
                ("NOSPLIT", (0, 0), (-1, -1)),
            ],
        )
        ways = [self._text("text", *document[name]) for name in ("bank", "reference")]
        pay = platypus.KeepTogether(
            [self._text("h2", document["how_to_pay"]), platypus.Table([ways], [WIDTH / 2, WIDTH / 2])]
        )
        heading, *paragraphs = document["message"]
        message = [self._text("h2", heading), *(self._text("text", part) for part in paragraphs)]
        return [totals, platypus.Spacer(1, 14), pay, platypus.Spacer(1, 10), *message]


def numbered(canvas: Any, document: dict[str, Any]) -> Any:
    """Return a canvas that keeps its pages until their number is known, as ReportLab's users do for `x of y`."""

    class Numbered(canvas):  # type: ignore[misc]  # ReportLab has no types
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._kept: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802  # ReportLab's name
            self._kept.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._kept, 1):
                self.__dict__.update(page)
                self._edges(number)
                super().showPage()
            super().save()

        def _edges(self, number: int) -> None:
            left, right = 20 * MILLIMETRE, LETTER[0] - 18 * MILLIMETRE
            self.setFont("Sans", 6.5)
            self.setFillColor(QUIET)
            self.drawString(left, 36, document["footer"])
            self.drawRightString(right, 36, f"{document['page']} {number} {document['of']} {len(self._kept)}")
            if number > 1:
                self.drawString(left, LETTER[1] - 40, document["firm"])
                self.drawRightString(right, LETTER[1] - 40, document["title"])

    return Numbered


def engine() -> ReportLab:
    """For `bench.documents.worker`."""
    return ReportLab()
