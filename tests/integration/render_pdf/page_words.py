"""Where every word of a PDF stands, and what a telephone's camera makes of a page."""

import html
import io
import re
import subprocess
from dataclasses import dataclass

import zxingcpp
from PIL import Image

_PAGE = re.compile(r'<page width="([\d.]+)" height="([\d.]+)">(.*?)</page>', re.DOTALL)
_WORD = re.compile(r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(.*?)</word>')


@dataclass(frozen=True)
class Word:
    """Edges in points from the page's upper left corner."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Page:
    """A page of words in reading order; sizes in points."""

    width: float
    height: float
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    def find(self, text: str) -> Word:
        """The first word that is exactly this."""
        return next(word for word in self.words if word.text == text)

    @property
    def body(self) -> tuple[Word, ...]:
        """Without the head and the foot, which begin and end at the page's rules."""
        foot = max(
            (word.top for word in self.words if word.text in {"Page", "Seite", "Página"}), default=self.height
        )
        return tuple(word for word in self.words if 40 < word.top < foot - 2)


def pages_of(pdf: bytes) -> list[Page]:
    run = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=pdf, capture_output=True, check=True)
    return [
        Page(
            float(width),
            float(height),
            tuple(
                Word(html.unescape(text), float(left), float(top), float(right), float(bottom))
                for left, top, right, bottom, text in _WORD.findall(content)
            ),
        )
        for width, height, content in _PAGE.findall(run.stdout.decode())
    ]


def codes_on(pdf: bytes, resolution: int = 150) -> list[tuple[str, str]]:
    """Text and level of error correction of every code on any page, drawn as an office printer would."""
    found = []
    for page in range(1, len(pages_of(pdf)) + 1):
        run = subprocess.run(
            ["pdftoppm", "-r", str(resolution), "-gray", "-png", "-f", str(page), "-l", str(page), "-"],
            input=pdf,
            capture_output=True,
            check=True,
        )
        with Image.open(io.BytesIO(run.stdout)) as image:
            found += [(code.text, code.ec_level) for code in zxingcpp.read_barcodes(image.convert("L"))]
    return found
