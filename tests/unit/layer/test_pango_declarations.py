"""What is read of Pango's C interface before a cold start is what WeasyPrint declares."""

import json
import subprocess
import sys
from pathlib import Path

from local import pango_declarations

ROOT = Path(__file__).parents[3]

WHICH = """
import json, sys
from billing.documents.pdf import pango_declarations
from billing.documents.pdf.start import import_weasyprint
if "other" in sys.argv:
    pango_declarations.DECLARED = "of another version"
import_weasyprint()
from weasyprint.text.ffi import TO_UNITS, pango
print(json.dumps({"parsed": "pycparser" in sys.modules, "units": TO_UNITS, "empty": pango.PANGO_GLYPH_EMPTY}))
"""


def seen(*arguments: str) -> dict[str, object]:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WHICH, *arguments],
        env={"PYTHONPATH": str(ROOT / "layers/billing"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, object] = json.loads(run.stdout)
    return answer


def test_what_is_committed_is_what_cffi_writes_of_the_installed_weasyprint() -> None:
    """If not: python -m local.pango_declarations."""
    assert pango_declarations.WRITTEN.read_text("ascii") == pango_declarations.module_text()


def test_weasyprint_starts_without_parsing_c() -> None:
    assert seen() == {"parsed": False, "units": 1024, "empty": 268435455}


def test_other_declarations_than_those_that_were_read_are_parsed() -> None:
    assert seen("other") == {"parsed": True, "units": 1024, "empty": 268435455}
