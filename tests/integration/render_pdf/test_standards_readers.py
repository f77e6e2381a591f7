"""The readers of `test_standards`, tested: a sound invoice is spoilt in one place, and they must name that place."""

import io
from collections.abc import Callable
from typing import Any

import pikepdf
import pytest
from PIL import Image

from billing.documents.pdf.renderer import WeasyPrintRenderer
from tests.integration.render_pdf import archival_pdf, tagged_pdf
from tests.integration.render_pdf.electronic_samples import invoice
from tests.integration.render_pdf.sample_invoices import LOGO
from tests.integration.render_pdf.tagged_pdf import TaggedPdf

# WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014.icc:ResourceWarning")


@pytest.fixture(scope="module")
def sound(renderer: WeasyPrintRenderer) -> bytes:
    return renderer.render_invoice(invoice(), LOGO).content


def first(pdf: Any, *roles: str) -> Any:
    return TaggedPdf(pdf).of_role(*roles)[0].source


def font(pdf: Any) -> Any:
    return next(iter(pdf.pages[0].Resources.Font.values()))


def picture(pdf: Any) -> Any:
    image = pdf.make_indirect(pikepdf.Stream(pdf, b"", Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image))
    pdf.pages[0].Resources.XObject["/Spoilt"] = image
    return image


def drawn(pdf: Any, content: bytes) -> Any:
    """A grey picture, 6 wide and 4 high, of 8 bits."""
    image = picture(pdf)
    image.write(content)
    for name, value in {"Width": 6, "Height": 4, "BitsPerComponent": 8}.items():
        image[f"/{name}"] = value
    image["/ColorSpace"] = pikepdf.Name("/DeviceGray")
    return image


def grey(pdf: Any) -> Any:
    return drawn(pdf, bytes(24))


def jpeg(pdf: Any) -> Any:
    content = io.BytesIO()
    Image.new("L", (6, 4)).save(content, "JPEG")
    image = drawn(pdf, b"")
    image.write(content.getvalue(), filter=pikepdf.Name.DCTDecode)
    return image


def in_content(old: bytes, new: bytes) -> Callable[[Any], None]:
    def replace_once(pdf: Any) -> None:
        content = pdf.pages[0].Contents
        assert old in content.read_bytes()
        content.write(content.read_bytes().replace(old, new, 1))

    return replace_once


def in_metadata(old: bytes, new: bytes) -> Callable[[Any], None]:
    def replace_all(pdf: Any) -> None:
        assert old in pdf.Root.Metadata.read_bytes()
        pdf.Root.Metadata.write(pdf.Root.Metadata.read_bytes().replace(old, new))

    return replace_all


def drop(*keys: str) -> Callable[[Any], None]:
    def deleted(source: Any) -> None:
        for key in keys:
            del source[key]

    return deleted


def set_role(role: str, *of: str) -> Callable[[Any], None]:
    return lambda pdf: first(pdf, *of).__setitem__("/S", pikepdf.Name(f"/{role}"))


def lose_first_child(pdf: Any) -> None:
    heading = first(pdf, "H1")
    heading.K = pikepdf.Array()


def swap_parents(pdf: Any) -> None:
    numbers = pdf.Root.StructTreeRoot.ParentTree.Nums[1]
    numbers[0], numbers[1] = numbers[1], numbers[0]


def widen(pdf: Any) -> None:
    widths = font(pdf).DescendantFonts[0].W
    run = next(entry for entry in widths if isinstance(entry, pikepdf.Array))
    run[0] = float(run[0]) + 50


STRUCTURE: list[tuple[str, Callable[[Any], None], str]] = [
    ("not marked", lambda pdf: drop("/Marked")(pdf.Root.MarkInfo), "6.2: not marked"),
    ("title not displayed", lambda pdf: drop("/ViewerPreferences")(pdf.Root), "7.1: the title is not displayed"),
    ("no language", lambda pdf: drop("/Lang")(pdf.Root), "7.2: no language"),
    ("no claim", in_metadata(b"<pdfuaid:part>1<", b"<pdfuaid:part>9<"), "5: PDF/UA-1 is not claimed"),
    ("no tab order", lambda pdf: drop("/Tabs")(pdf.pages[0]), "7.18.3"),
    ("no alternative", lambda pdf: drop("/Alt")(first(pdf, "Figure")), "7.3: a figure without alternative"),
    ("a box in CSS pixels", lambda pdf: first(pdf, "Figure").A.__setitem__("/BBox", [70, 900, 300, 1100]),
     "ISO 32000-1 14.8.5.4"),
    ("a level left out", set_role("H3", "H2"), "7.4.2: H3 follows level 1"),
    ("two titles", set_role("H1", "H2"), "one H1"),
    ("content lost from the tree", lose_first_child, "7.1: 1 marked contents are not in the tree"),
    ("content of another element", swap_parents, "ISO 32000-1 14.7.4.4"),
    ("an unknown role", set_role("Banner", "Sect"), "7.1: Banner is no standard"),
    ("a paragraph in a row", set_role("P", "TD"), "7.2: a TR holds ['P']"),
    ("a cell outside of a row", set_role("TD", "P"), "7.2: a TD stands outside"),
    ("no scope", lambda pdf: drop("/Scope")(first(pdf, "TH").A), "7.5: a header cell without scope"),
    ("no headers", lambda pdf: drop("/Headers")(first(pdf, "TD").A), "7.5: a data cell without headers"),
    ("a cell too wide", lambda pdf: first(pdf, "TD").A.__setitem__("/ColSpan", 2), "7.2: a table's rows"),
    ("no tree of ids", lambda pdf: drop("/IDTree")(pdf.Root.StructTreeRoot), "ISO 32000-1 14.7.2: the tree of ids"),
    ("paint outside", in_content(b"/Artifact\nBMC", b"/Other\nBMC"), "7.1: page 1 paints outside"),
    ("content within an artifact", in_content(b"/Span\n<</MCID 0>>\nBDC", b"/Artifact\nBMC\n/Span\n<</MCID 0>>\nBDC"),
     "7.1: page 1: tagged within"),
]  # fmt: skip

ARCHIVE: list[tuple[str, Callable[[Any], None], str]] = [
    ("no output intent", lambda pdf: drop("/OutputIntents")(pdf.Root), "6.2.3: not one output intent"),
    ("an action", lambda pdf: pdf.Root.__setitem__("/OpenAction", pikepdf.Dictionary(S=pikepdf.Name("/JavaScript"))),
     "6.5: the catalog holds /OpenAction"),
    ("no claim", in_metadata(b"<pdfaid:conformance>B<", b"<pdfaid:conformance>Q<"), "6.6.4"),
    ("two lists of schemas", in_metadata(b"</rdf:RDF>", b'<rdf:Description rdf:about="" xmlns:e="http://www.aiim.org/'
     b'pdfa/ns/extension/"><e:schemas/></rdf:Description></rdf:RDF>'), "6.6.2.3: more than one list"),
    ("a property without description", in_metadata(b"<pdfaProperty:name>Version<", b"<pdfaProperty:name>Vision<"),
     "6.6.2.3: Version of"),
    ("half a description", in_metadata(b"<pdfaProperty:category>external</pdfaProperty:category>", b""),
     "6.6.2.3: a property of urn:factur-x"),
    ("a picture to be interpolated", lambda pdf: picture(pdf).__setitem__("/Interpolate", True), "6.2.8"),
    ("a picture in CMYK", lambda pdf: picture(pdf).__setitem__("/ColorSpace", pikepdf.Name("/DeviceCMYK")), "6.2.4.3"),
    ("a grey that declares three colours", lambda pdf: grey(pdf).__setitem__("/ColorSpace", pikepdf.Name("/DeviceRGB")),
     "ISO 32000-1 8.9.5: a picture declares (72,) and holds (24,)"),
    ("a picture that ends too early", lambda pdf: grey(pdf).__setitem__("/Height", 5),
     "ISO 32000-1 8.9.5: a picture declares (30,) and holds (24,)"),
    ("another kind of JPEG", lambda pdf: jpeg(pdf).__setitem__("/ColorSpace", pikepdf.Name("/DeviceRGB")),
     "ISO 32000-1 8.9.5: a picture declares (6, 4, 3) and holds (6, 4, 1)"),
    ("not associated", lambda pdf: drop("/AF")(pdf.Root), "6.8: the attached files"),
    ("no relationship", lambda pdf: drop("/AFRelationship")(pdf.Root.AF[0]), "6.8: a file specification"),
    ("no date", lambda pdf: drop("/ModDate")(pdf.Root.AF[0].EF.F.Params), "6.8: an attached file"),
    ("no font program", lambda pdf: drop("/FontFile3")(font(pdf).DescendantFonts[0].FontDescriptor), "6.2.11.4"),
    ("another width", widen, "6.2.11.5"),
    ("no text", lambda pdf: font(pdf).ToUnicode.write(b""), "ISO 14289-1 7.21.7"),
    ("a glyph that is not there", in_content(b"] TJ", b"<fffe>] TJ"), "6.2.11.8"),
]  # fmt: skip


def spoilt(sound: bytes, spoil: Callable[[Any], None]) -> pikepdf.Pdf:
    pdf = pikepdf.open(io.BytesIO(sound))
    spoil(pdf)
    again = io.BytesIO()
    pdf.save(again)
    return pikepdf.open(again)


@pytest.mark.parametrize(("what", "spoil", "defect"), STRUCTURE, ids=[row[0] for row in STRUCTURE])
def test_the_reader_of_structures_names(
    sound: bytes, what: str, spoil: Callable[[Any], None], defect: str
) -> None:
    found = tagged_pdf.defects(TaggedPdf(spoilt(sound, spoil)))
    assert any(each.startswith(defect) for each in found), (what, found)


@pytest.mark.parametrize(("what", "spoil", "defect"), ARCHIVE, ids=[row[0] for row in ARCHIVE])
def test_the_reader_of_archives_names(
    sound: bytes, what: str, spoil: Callable[[Any], None], defect: str
) -> None:
    found = archival_pdf.defects(spoilt(sound, spoil))
    assert any(each.startswith(defect) for each in found), (what, found)


@pytest.mark.parametrize("whole", [grey, jpeg])
def test_a_whole_picture_is_no_defect(sound: bytes, whole: Callable[[Any], None]) -> None:
    assert archival_pdf.defects(spoilt(sound, whole)) == []


def test_a_sound_one_stays_sound_when_it_is_saved_again(sound: bytes) -> None:
    pdf = spoilt(sound, lambda _: None)
    assert tagged_pdf.defects(TaggedPdf(pdf)) == archival_pdf.defects(pdf) == []
