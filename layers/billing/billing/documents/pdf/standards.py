"""What PDF/UA-1 and PDF/A-3 ask for and WeasyPrint 70 leaves undone, put right before the PDF is written.

- Header cells get their `Scope`, and the structure tree its `IDTree`, without which their ids lead nowhere.
- Running heads and feet are marked as content of elements that are not in the tree; they become artifacts.
- An attached file is associated with the document twice; once is enough. An XML file is `text/xml`, as Factur-X wants,
  whatever the machine's own table of types says.
- Pictures are marked to be interpolated, which PDF/A forbids.
- A figure's bounding box is given in CSS pixels from the top; it becomes points from the bottom, as all of PDF is.

`finish` works on the objects of the PDF (`write_pdf(finisher=…)`), not on WeasyPrint's own code.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pydyf

#: CSS pixels are 1/96 inch, points 1/72.
_POINTS = 0.75


def finish(_document: object, pdf: Any) -> None:
    """Complete the structure of a tagged PDF. The signature is that of WeasyPrint's finisher."""
    root = _object(pdf, pdf.catalog["StructTreeRoot"])
    elements = [item for item in pdf.objects if isinstance(item, dict) and item.get("Type") == "/StructElem"]
    _set_scopes(pdf, elements)
    _add_id_tree(pdf, root, elements)
    _move_boxes(pdf, elements)
    _make_artifacts(pdf, root, elements)
    _settle_attachments(pdf)
    _leave_pictures_alone(pdf)


def _object(pdf: Any, reference: bytes) -> Any:
    """The object of a reference such as `b"12 0 R"`."""
    return pdf.objects[int(reference.split()[0])]


def _set_scopes(pdf: Any, elements: Iterable[Any]) -> None:
    """Header cells of a table's head speak for their column, those of its body for their row."""
    for element in elements:
        if element["S"] == "/TH":
            row = _object(pdf, element["P"])
            in_head = _object(pdf, row["P"])["S"] == "/THead"
            element["A"]["Scope"] = "/Column" if in_head else "/Row"


def _add_id_tree(pdf: Any, root: Any, elements: Iterable[Any]) -> None:
    """ISO 32000-1 table 322: required where elements have ids; its names are sorted by their bytes."""
    named = sorted(
        ((element["ID"], element.reference) for element in elements if "ID" in element),
        key=lambda pair: str(pair[0].string).encode(),
    )
    if named:
        tree = pydyf.Dictionary({"Names": pydyf.Array([part for pair in named for part in pair])})
        pdf.add_object(tree)
        root["IDTree"] = tree.reference


def _move_boxes(pdf: Any, elements: Iterable[Any]) -> None:
    for element in elements:
        if element["S"] == "/Figure":
            height = _object(pdf, element["Pg"])["MediaBox"][3]
            left, top, right, bottom = (edge * _POINTS for edge in element["A"]["BBox"])
            element["A"]["BBox"] = pydyf.Array((left, height - bottom, right, height - top))


def _make_artifacts(pdf: Any, root: Any, elements: Iterable[Any]) -> None:
    """Content of elements outside the tree becomes artifacts; the elements themselves are emptied."""
    document = _object(pdf, root["K"][0])
    in_tree = set(document["K"])
    outside = [
        element
        for element in elements
        if element["P"] == document.reference and element.reference not in in_tree
    ]
    contents: dict[bytes, set[int]] = {}
    for element in outside:
        for page, number in _contents(pdf, element):
            contents.setdefault(page, set()).add(number)
    parents = _object(pdf, root["ParentTree"])["Nums"]
    for page_reference, numbers in contents.items():
        page = _object(pdf, page_reference)
        _mark_as_artifacts(_object(pdf, page["Contents"]).stream, numbers)
        of_page = parents[2 * page["StructParents"] + 1]
        for number in numbers:
            of_page[number] = "null"


def _contents(pdf: Any, element: Any) -> Iterator[tuple[bytes, int]]:
    """The pages and numbers of the marked contents below an element, which is emptied on the way."""
    page, kids = element["Pg"], element["K"]
    element.clear()
    for kid in kids:
        if isinstance(kid, int):
            yield page, kid
        elif (below := _object(pdf, kid)).get("Type") == "/StructElem":
            yield from _contents(pdf, below)


def _mark_as_artifacts(stream: list[Any], numbers: set[int]) -> None:
    """Rewrite `/Span <</MCID n>> BDC` as a pagination artifact, for each of `numbers`."""
    for index, operator in enumerate(stream):
        if operator == b"BDC" and stream[index - 1].get("MCID") in numbers:
            stream[index - 2] = "/Artifact"
            stream[index - 1] = pydyf.Dictionary({"Type": "/Pagination"})


def _settle_attachments(pdf: Any) -> None:
    if "AF" in pdf.catalog:
        pdf.catalog["AF"] = pydyf.Array(dict.fromkeys(pdf.catalog["AF"]))
    for item in pdf.objects:
        if isinstance(item, dict) and item.get("Type") == "/Filespec" and item["UF"].string.endswith(".xml"):
            _object(pdf, item["EF"]["F"]).extra["Subtype"] = "/text#2fxml"


def _leave_pictures_alone(pdf: Any) -> None:
    for item in pdf.objects:
        if isinstance(item, pydyf.Stream) and item.extra.get("Subtype") == "/Image":
            item.extra["Interpolate"] = "false"
