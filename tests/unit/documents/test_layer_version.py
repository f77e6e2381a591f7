"""What draws a document is part of what the document is: another library or font is another version."""

from importlib.metadata import version
from pathlib import Path

from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.template import DocumentTemplate


def test_the_layer_is_named_where_there_is_one(tmp_path: Path) -> None:
    file = tmp_path / "layer-version"
    bare = WeasyPrintRenderer(DocumentTemplate(), file).layer_version
    assert bare.startswith(f"weasyprint-{version('weasyprint')}-")
    file.write_text("0123456789abcdef\n")
    assert WeasyPrintRenderer(DocumentTemplate(), file).layer_version == f"{bare}-0123456789abcdef"
