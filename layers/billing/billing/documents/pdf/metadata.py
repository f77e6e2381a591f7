"""What a PDF claims to be, in its XMP metadata: PDF/UA-1 beside PDF/A-3b, and Factur-X where it carries an invoice.

WeasyPrint writes one variant's claim, as attributes, which is right, but not every reader looks for it there: here it is
written as elements. The others go into the same `rdf:RDF`: a second one beside it is not read by
XMP parsers. PDF/A wants every schema that it does not know described in the file, all of them in one list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: The name that Factur-X and ZUGFeRD prescribe for the attached file.
FACTUR_X_FILE = "factur-x.xml"

_END = b"</rdf:RDF>"
_ARCHIVE = (
    '<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">'
    "<pdfaid:part>{part}</pdfaid:part><pdfaid:conformance>{conformance}</pdfaid:conformance></rdf:Description>"
)


@dataclass(frozen=True)
class _Property:
    name: str
    type: str
    category: str
    description: str
    value: str


@dataclass(frozen=True)
class _Schema:
    name: str
    namespace: str
    prefix: str
    properties: tuple[_Property, ...]


_UNIVERSAL_ACCESS = _Schema(
    "PDF/UA Universal Accessibility Schema",
    "http://www.aiim.org/pdfua/ns/id/",
    "pdfuaid",
    (_Property("part", "Integer", "internal", "Indicates which part of ISO 14289 the file adheres to", "1"),),
)
_FACTUR_X = _Schema(
    "Factur-X PDFA Extension Schema",
    "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#",
    "fx",
    (
        _Property(
            "DocumentFileName", "Text", "external", "The name of the embedded XML document", FACTUR_X_FILE
        ),
        _Property("DocumentType", "Text", "external", "The type of the hybrid document", "INVOICE"),
        _Property("Version", "Text", "external", "The version of the standard of the XML document", "1.0"),
        _Property("ConformanceLevel", "Text", "external", "The profile of the XML document", "EN 16931"),
    ),
)


def claim(metadata: Any, *, electronic: bool, shows_all: Callable[[], bool]) -> None:
    """Let WeasyPrint's metadata of one document say all that the document is.

    `shows_all` is asked when the pages have been rendered: whether a font has every character. Where none has, nothing is
    claimed, neither PDF/A nor PDF/UA nor Factur-X, which is a PDF/A.
    """
    generate = metadata.generate_rdf_metadata

    def generate_all(variant: str, version: int | None, conformance: str | None) -> bytes:
        rdf: bytes = generate(variant, None, None)
        if not shows_all():
            return rdf
        schemas = [_UNIVERSAL_ACCESS, *([_FACTUR_X] if electronic else [])]
        if not rdf.endswith(_END):
            message = "WeasyPrint's metadata does not end as it used to."
            raise ValueError(message)
        archive = _ARCHIVE.format(part=version, conformance=conformance)
        return rdf.removesuffix(_END) + "".join([archive, *_descriptions(schemas)]).encode() + _END

    metadata.generate_rdf_metadata = generate_all


def _descriptions(schemas: list[_Schema]) -> list[str]:
    values = [
        f'<rdf:Description rdf:about="" xmlns:{schema.prefix}="{schema.namespace}">'
        + "".join(
            f"<{schema.prefix}:{item.name}>{item.value}</{schema.prefix}:{item.name}>"
            for item in schema.properties
        )
        + "</rdf:Description>"
        for schema in schemas
    ]
    head = (
        '<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"'
        ' xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#"'
        ' xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#"><pdfaExtension:schemas><rdf:Bag>'
    )
    described = [_described(schema) for schema in schemas]
    return [*values, head, *described, "</rdf:Bag></pdfaExtension:schemas></rdf:Description>"]


def _described(schema: _Schema) -> str:
    properties = "".join(
        '<rdf:li rdf:parseType="Resource">'
        f"<pdfaProperty:name>{item.name}</pdfaProperty:name>"
        f"<pdfaProperty:valueType>{item.type}</pdfaProperty:valueType>"
        f"<pdfaProperty:category>{item.category}</pdfaProperty:category>"
        f"<pdfaProperty:description>{item.description}</pdfaProperty:description></rdf:li>"
        for item in schema.properties
    )
    return (
        '<rdf:li rdf:parseType="Resource">'
        f"<pdfaSchema:schema>{schema.name}</pdfaSchema:schema>"
        f"<pdfaSchema:namespaceURI>{schema.namespace}</pdfaSchema:namespaceURI>"
        f"<pdfaSchema:prefix>{schema.prefix}</pdfaSchema:prefix>"
        f"<pdfaSchema:property><rdf:Seq>{properties}</rdf:Seq></pdfaSchema:property></rdf:li>"
    )
