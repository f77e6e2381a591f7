"""The PDF layer in a room that has what Lambda has and nothing else; looked at from outside with other programs."""

import base64
import io
import re
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pikepdf
import pytest
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # ships no types

from tests.clean_room.inside import SCRIPTS
from tests.clean_room.room import Room

type Rooms = Callable[..., Room]

FONTS: Final = {"Inter", "Inter-Semi-Bold", "Noto-Sans-Arabic", "Droid-Sans-Fallback", "NanumBarunGothic"}
"""Latin, Greek and Cyrillic in two weights, Arabic, Chinese with Japanese, Korean."""

OPENED: Final = ("gobject-2.0", "pango-1.0", "harfbuzz", "fontconfig", "pangoft2-1.0", "harfbuzz-subset")


@pytest.fixture(scope="module")
def drawn(room: Rooms) -> dict[str, Any]:
    return room().run("import")


@pytest.fixture(scope="module")
def pdf(drawn: dict[str, Any]) -> bytes:
    return base64.b64decode(drawn["pdf"])


def fonts(pdf: bytes) -> dict[str, str]:
    """Name without its subset's prefix -> `encoding emb sub uni`, as pdffonts sees them."""
    lines = subprocess.run(["pdffonts", "-"], input=pdf, capture_output=True, check=True).stdout.decode()
    return {
        match[1]: " ".join(match[2].split())
        for match in re.finditer(r"^[A-Z]{6}\+(\S+) .*?(\S+ +(?:(?:yes|no) +){3})", lines, re.MULTILINE)
    }


def text_of(pdf: bytes) -> str:
    """What pdftotext reads, without spaces and marks of direction, in the letters' basic forms."""
    text = subprocess.run(["pdftotext", "-", "-"], input=pdf, capture_output=True, check=True).stdout.decode()
    return plain(text)


def plain(text: str) -> str:
    return "".join(
        letter
        for letter in unicodedata.normalize("NFKC", text)
        if not letter.isspace() and unicodedata.category(letter) != "Cf"
    )


def shown_glyphs(pdf: bytes) -> list[tuple[int, int]]:
    """Every glyph that the pages show, with how many its font has: WeasyPrint shows what a font lacks beyond these."""
    found = []
    with pikepdf.open(io.BytesIO(pdf)) as document:
        for page in document.pages:
            count = 0
            for instruction in pikepdf.parse_content_stream(page):
                operator, operands = str(instruction.operator), instruction.operands
                if operator == "Tf":
                    count = glyph_count(page.resources["/Font"][str(operands[0])])
                shown = [operands[0]] if operator == "Tj" else list(operands[0]) if operator == "TJ" else []
                for piece in shown:
                    if isinstance(piece, pikepdf.String):
                        codes = bytes(piece)
                        found += [
                            (int.from_bytes(codes[at : at + 2]), count) for at in range(0, len(codes), 2)
                        ]
    return found


def glyph_count(font: Any) -> int:
    """How many glyphs the embedded program of a font has; numbers are kept when it is made a subset."""
    descriptor = font.DescendantFonts[0].FontDescriptor
    program = descriptor.get("/FontFile2", descriptor.get("/FontFile3"))
    return int(TTFont(io.BytesIO(program.read_bytes()), lazy=True)["maxp"].numGlyphs)


def missing(pdf: bytes) -> list[tuple[int, int]]:
    return [(glyph, count) for glyph, count in shown_glyphs(pdf) if not 0 < glyph < count]


def test_the_room_is_as_bare_as_lambda(drawn: dict[str, Any]) -> None:
    assert drawn["user"] == 993
    assert drawn["writable"] == ["/tmp"]  # noqa: S108 - the room's
    assert drawn["found_by_name"] is None
    assert not [name for name in drawn["loaded"] if not name.startswith(("/lib", "/opt/", "/var/lang/"))]


def test_every_native_library_is_the_layers(drawn: dict[str, Any]) -> None:
    loaded = {Path(name).name.split(".so")[0]: name for name in drawn["loaded"]}
    for name in OPENED:
        assert loaded[f"lib{name}"].startswith("/opt/lib/"), name


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_can_be_read_in_the_document(pdf: bytes, script: str) -> None:
    assert plain(SCRIPTS[script]) in text_of(pdf)


def test_every_font_is_the_layers_embedded_as_a_subset_and_can_be_copied_from(pdf: bytes) -> None:
    found = fonts(pdf)
    assert set(found) == FONTS
    assert set(found.values()) == {"Identity-H yes yes yes"}


def test_no_glyph_is_the_box_that_stands_for_a_missing_one(drawn: dict[str, Any], pdf: bytes) -> None:
    assert drawn["missing_glyphs"] == 0
    assert len(shown_glyphs(pdf)) > 500
    assert missing(pdf) == []


@pytest.mark.parametrize("folder", ["droid", "nanum"])
def test_a_layer_without_a_font_would_be_noticed(room: Rooms, folder: str) -> None:
    told = room(f"/opt/share/fonts/{folder}").run("import")
    lacking = base64.b64decode(told["pdf"])
    assert told["missing_glyphs"] > 0
    assert missing(lacking) != []
    assert "Custom yes yes yes" in fonts(lacking).values()


def test_nothing_is_started_reached_or_written_and_no_tls_context_is_made(drawn: dict[str, Any]) -> None:
    assert drawn["events"] == []
    assert drawn["tls_contexts"] == 0
    assert [name for name in drawn["written"] if not name.startswith("/tmp/")] == []  # noqa: S108 - the room's


def test_without_our_start_programs_are_started_and_tls_contexts_made(room: Rooms) -> None:
    stock = room().run("stock")
    assert any(event.startswith("subprocess.Popen") for event in stock["events"])
    assert stock["tls_contexts"] > 0


def test_the_same_document_is_the_same_bytes_in_another_process(room: Rooms, drawn: dict[str, Any]) -> None:
    assert room().run("import")["pdf"] == drawn["pdf"]


def test_the_worker_is_warm_when_lambdas_init_ends(room: Rooms) -> None:
    stock, ours, worker = (room().run(stage) for stage in ("stock", "import", "worker"))
    # Decided by what is there, not by seconds: other programs share this machine.
    assert (worker["built_at_init"], worker["warm_at_init"]) == (True, True)
    lines = {
        "import, stock": stock["seconds"],
        "import, ours": ours["seconds"]["import"],
        "first document after our import": ours["seconds"]["warm_up"] + ours["seconds"]["draw"][0],
        "the worker's whole init": worker["seconds"]["init"],
        "first document after init": worker["seconds"]["draw"][0],
        "second document": worker["seconds"]["draw"][1],
    }
    for name, seconds in lines.items():
        print(f"  {name}: {seconds:.2f} s")  # noqa: T201 - figures for a person


def test_outside_lambda_importing_the_worker_draws_nothing(room: Rooms) -> None:
    bare = room()
    told = Room(
        bare.opt,
        bare.task,
        variables={key: value for key, value in bare.variables.items() if "INITIALIZATION" not in key},
    ).run("worker")
    assert (told["built_at_init"], told["warm_at_init"]) == (False, False)
