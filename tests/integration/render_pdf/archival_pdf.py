"""What can be checked of PDF/A-3b (ISO 19005-3) without veraPDF: each rule by its clause; `defects` names the broken.

Not a proof of conformance; it covers what goes wrong in generated PDFs: fonts and their widths, colours, pictures,
attachments, metadata and everything that is forbidden outright.
"""

import io
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pikepdf
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # it ships no types
from PIL import Image

#: Namespaces whose properties PDF/A knows without being told.
_KNOWN = {
    "http://purl.org/dc/elements/1.1/",
    "http://ns.adobe.com/xap/1.0/",
    "http://ns.adobe.com/xap/1.0/mm/",
    "http://ns.adobe.com/pdf/1.3/",
    "http://www.aiim.org/pdfa/ns/id/",
    "http://www.aiim.org/pdfa/ns/extension/",
}
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_SCHEMA = "{http://www.aiim.org/pdfa/ns/schema#}"
_PROPERTY = "{http://www.aiim.org/pdfa/ns/property#}"
_COMPONENTS = {"/DeviceGray": 1, "/DeviceRGB": 3, "/DeviceCMYK": 4}
_FORBIDDEN_ACTIONS = {
    "/Launch", "/Sound", "/Movie", "/ResetForm", "/ImportData", "/Hide", "/SetOCGState", "/Rendition", "/Trans",
    "/GoTo3DView", "/JavaScript",
}  # fmt: skip
_BLEND_MODES = {
    "/Normal", "/Compatible", "/Multiply", "/Screen", "/Overlay", "/Darken", "/Lighten", "/ColorDodge", "/ColorBurn",
    "/HardLight", "/SoftLight", "/Difference", "/Exclusion", "/Hue", "/Saturation", "/Color", "/Luminosity",
}  # fmt: skip


def xmp_of(pdf: Any) -> ET.Element:
    """The one `rdf:RDF` of the metadata."""
    packet = ET.fromstring(pdf.Root.Metadata.read_bytes())  # noqa: S314  # written by what is tested here
    (rdf,) = packet.iter(f"{_RDF}RDF")
    return rdf


def defects(pdf: Any) -> list[str]:
    """Every rule that the file breaks; none is the only good answer."""
    return [
        *_of_the_file(pdf),
        *_of_the_metadata(pdf),
        *_of_the_objects(pdf),
        *_of_the_attachments(pdf),
        *_of_the_fonts(pdf),
    ]


def _of_the_file(pdf: Any) -> Iterator[str]:
    if "/ID" not in pdf.trailer:
        yield "6.1.3: no file identifier"
    if pdf.is_encrypted:
        yield "6.1.3: encrypted"
    intents = pdf.Root.get("/OutputIntents", [])
    profiles = [intent.DestOutputProfile for intent in intents if intent.S == "/GTS_PDFA1"]
    if len(profiles) != 1:
        yield "6.2.3: not one output intent for PDF/A"
    for profile in profiles:
        head = profile.read_bytes()[:128]
        if head[36:40] != b"acsp" or head[16:20] != b"RGB " or int(profile.N) != 3:
            yield "6.2.3: the output intent's profile is not one for RGB"
    for name in ("/OpenAction", "/AA", "/Requirements"):
        if name in pdf.Root:
            yield f"6.5: the catalog holds {name}"


def _of_the_metadata(pdf: Any) -> Iterator[str]:
    with pdf.open_metadata() as metadata:
        if (metadata.get("pdfaid:part"), metadata.get("pdfaid:conformance")) != ("3", "B"):
            yield "6.6.4: PDF/A-3b is not claimed"
    rdf = xmp_of(pdf)
    lists = list(rdf.iter("{http://www.aiim.org/pdfa/ns/extension/}schemas"))
    if len(lists) > 1:
        yield "6.6.2.3: more than one list of extension schemas"
    described = set()
    for schema in (item for found in lists for item in found.iterfind(f"{_RDF}Bag/{_RDF}li")):
        namespace = schema.findtext(f"{_SCHEMA}namespaceURI")
        for item in schema.iterfind(f"{_SCHEMA}property/{_RDF}Seq/{_RDF}li"):
            if {child.tag for child in item} != {
                f"{_PROPERTY}{name}" for name in ("name", "valueType", "category", "description")
            }:
                yield f"6.6.2.3: a property of {namespace} is described incompletely"
            described.add((namespace, item.findtext(f"{_PROPERTY}name")))
    for description in rdf.iterfind(f"{_RDF}Description"):
        names = [child.tag for child in description] + [
            name for name in description.attrib if name != f"{_RDF}about"
        ]
        for name in names:
            namespace, _, local = name.removeprefix("{").partition("}")
            if namespace not in _KNOWN and (namespace, local) not in described:
                yield f"6.6.2.3: {local} of {namespace} is not described"


def _of_the_objects(pdf: Any) -> Iterator[str]:
    for item in pdf.objects:
        if not isinstance(item, (pikepdf.Dictionary, pikepdf.Stream)):
            continue
        filters: Any = item.get("/Filter", []) if isinstance(item, pikepdf.Stream) else []
        for name in [filters] if isinstance(filters, pikepdf.Name) else filters:
            if name in ("/LZWDecode", "/Crypt"):
                yield f"6.1.7.2: a stream with {name}"
        if item.get("/Subtype") == "/Image":
            yield from _of_a_picture(item)
        if item.get("/S") in _FORBIDDEN_ACTIONS and item.get("/Type") in (None, "/Action"):
            yield f"6.5.1: an action {item.S}"
        if item.get("/Subtype") == "/PS" or (
            item.get("/Subtype") == "/Form" and {"/OPI", "/Ref"} & set(item.keys())
        ):
            yield "6.2.9: an XObject that is forbidden"
        for state in item.get("/ExtGState", {}).values():
            yield from _of_a_graphics_state(state)


def _of_a_graphics_state(state: Any) -> Iterator[str]:
    if {"/TR", "/HTP"} & set(state.keys()):
        yield "6.2.5: a transfer function or a halftone"
    if str(state.get("/BM", "/Normal")) not in _BLEND_MODES:
        yield f"6.2.10: blend mode {state.BM}"


def _of_a_picture(image: Any) -> Iterator[str]:
    if image.get("/Interpolate") is True:
        yield "6.2.8: a picture is to be interpolated"
    if {"/Alternates", "/OPI"} & set(image.keys()):
        yield "6.2.8: a picture with alternates"
    if image.get("/ColorSpace") == "/DeviceCMYK":
        yield "6.2.4.3: a picture in CMYK beside an output intent for RGB"
    declared, written = _declared(image), _written(image)
    if declared != written:
        yield f"ISO 32000-1 8.9.5: a picture declares {declared} and holds {written}"


def _declared(image: Any) -> tuple[int, ...]:
    """Of a JPEG its width, height and components; of other pictures their length in bytes."""
    width, height = int(image.get("/Width", 0)), int(image.get("/Height", 0))
    components = _COMPONENTS.get(str(image.get("/ColorSpace")), 0)
    if image.get("/Filter") == "/DCTDecode":
        return width, height, components
    bits = width * components * int(image.get("/BitsPerComponent", 0))
    return (math.ceil(bits / 8) * height,)


def _written(image: Any) -> tuple[int, ...]:
    if image.get("/Filter") == "/DCTDecode":
        with Image.open(io.BytesIO(image.read_raw_bytes()), formats=("JPEG",)) as jpeg:
            return *jpeg.size, len(jpeg.getbands())
    return (len(image.read_bytes()),)


def _of_the_attachments(pdf: Any) -> Iterator[str]:
    names = pdf.Root.get("/Names", {}).get("/EmbeddedFiles", {}).get("/Names", [])
    listed = {entry.objgen for entry in list(names)[1::2]}
    associated = {entry.objgen for entry in pdf.Root.get("/AF", [])}
    if listed != associated or len(pdf.Root.get("/AF", [])) != len(associated):
        yield "6.8: the attached files are not those associated with the document, each once"
    for entry in list(names)[1::2]:
        if not {"/F", "/UF", "/EF", "/AFRelationship"} <= set(entry.keys()):
            yield "6.8: a file specification lacks a key"
        stream = entry.EF.F
        if "/Subtype" not in stream or "/ModDate" not in stream.get("/Params", {}):
            yield "6.8: an attached file lacks its type or its date"


def _of_the_fonts(pdf: Any) -> Iterator[str]:
    shown: dict[tuple[int, int], set[int]] = defaultdict(set)
    fonts: dict[tuple[int, int], Any] = {}
    for page in pdf.pages:
        _collect(page, page.Resources, shown, fonts)
    for item in pdf.objects:
        if isinstance(item, pikepdf.Stream) and item.get("/Subtype") == "/Form" and "/Resources" in item:
            _collect(item, item.Resources, shown, fonts)
    for key, glyphs in shown.items():
        yield from _of_a_font(fonts[key], glyphs)


def _collect(content: Any, resources: Any, shown: dict[Any, set[int]], fonts: dict[Any, Any]) -> None:
    current = None
    instructions: Any = pikepdf.parse_content_stream(content)
    for operands, operator in instructions:
        name = str(operator)
        if name == "Tf":
            current = resources.Font[str(operands[0])]
            fonts[current.objgen] = current
        elif name in ("Tj", "TJ") and current is not None:
            strings = [operands[0]] if name == "Tj" else list(operands[0])
            for text in strings:
                if isinstance(text, pikepdf.String):
                    codes = bytes(text)
                    shown[current.objgen].update(
                        int.from_bytes(codes[index : index + 2], "big") for index in range(0, len(codes), 2)
                    )


def _of_a_font(font: Any, glyphs: set[int]) -> Iterator[str]:
    name = str(font.BaseFont)
    if font.Subtype != "/Type0" or font.Encoding != "/Identity-H":
        yield f"{name}: not the kind of font that this test can read"
        return
    (descendant,) = font.DescendantFonts
    descriptor = descendant.FontDescriptor
    embedded = descriptor.get("/FontFile3", descriptor.get("/FontFile2"))
    if embedded is None:
        yield f"6.2.11.4: {name} is not embedded"
        return
    if descendant.Subtype == "/CIDFontType2" and descendant.get("/CIDToGIDMap") != "/Identity":
        yield f"6.2.11.3.2: {name} has no map from CIDs to glyphs"
    widths = _declared_widths(descendant)
    real = _real_widths(embedded.read_bytes())
    mapped = {int(code, 16) for code in re.findall(rb"<([0-9a-fA-F]{4})> <", font.ToUnicode.read_bytes())}
    for glyph in sorted(glyphs):
        if glyph == 0 or glyph not in real:
            yield f"6.2.11.8: {name} shows a glyph that it does not have ({glyph})"
        elif abs(widths.get(glyph, 1000.0) - real[glyph]) > 1:
            yield f"6.2.11.5: {name} gives glyph {glyph} the width {widths.get(glyph)}, it has {real[glyph]}"
        if glyph not in mapped:
            yield f"ISO 14289-1 7.21.7: {name} does not say which text glyph {glyph} is"


def _declared_widths(descendant: Any) -> dict[int, float]:
    widths: dict[int, float] = {}
    entries = list(descendant.get("/W", []))
    while entries:
        first = int(entries.pop(0))
        second = entries.pop(0)
        if isinstance(second, pikepdf.Array):
            widths |= {first + index: float(width) for index, width in enumerate(second)}
        else:
            widths |= dict.fromkeys(range(first, int(second) + 1), float(entries.pop(0)))
    return widths


def _real_widths(content: bytes) -> dict[int, float]:
    """Of every glyph the font program has, in thousandths of the font's size."""
    font = TTFont(io.BytesIO(content), lazy=True)
    scale = 1000 / font["head"].unitsPerEm
    metrics = font["hmtx"].metrics
    return {index: metrics[name][0] * scale for index, name in enumerate(font.getGlyphOrder())}
