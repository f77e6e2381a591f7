"""A second reader of tagged PDFs, for what `pdfua` does not look at: the structure, the content, and each in the other.

Every rule is one of ISO 14289-1 (PDF/UA-1) or of ISO 32000-1 that it stands on; `defects` names those that are broken.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pikepdf

#: Operators that put something on the page.
_PAINTING = frozenset(
    {"f", "F", "f*", "S", "s", "B", "B*", "b", "b*", "sh", "Do", "Tj", "TJ", "'", '"', "EI", "INLINE IMAGE"}
)
_CHILDREN = {
    "Table": {"TR", "THead", "TBody", "TFoot", "Caption"},
    "THead": {"TR"},
    "TBody": {"TR"},
    "TFoot": {"TR"},
    "TR": {"TH", "TD"},
}
_PARENTS = {
    "TR": {"Table", "THead", "TBody", "TFoot"},
    "TH": {"TR"},
    "TD": {"TR"},
    "THead": {"Table"},
    "TBody": {"Table"},
}
_STANDARD = {
    "Document", "Part", "Art", "Sect", "Div", "BlockQuote", "Caption", "P", "H1", "H2", "H3", "H4", "H5", "H6", "L",
    "LI", "Lbl", "LBody", "Table", "TR", "TH", "TD", "THead", "TBody", "TFoot", "Span", "Quote", "Note", "Link",
    "Annot", "Figure", "Form", "NonStruct",
}  # fmt: skip


@dataclass
class Element:
    """An element of the structure tree. `contents` are (page index, MCID) of its own, in order."""

    role: str
    source: Any
    parent: "Element | None"
    children: list["Element"] = field(default_factory=list)
    contents: list[tuple[int, int]] = field(default_factory=list)
    annotations: list[Any] = field(default_factory=list)

    def walk(self) -> Iterator["Element"]:
        """Itself and everything below, in reading order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def all_contents(self) -> list[tuple[int, int]]:
        """Its marked contents and those below."""
        return [content for element in self.walk() for content in element.contents]

    def attribute(self, name: str) -> Any:
        """A value of its attribute dictionary, or None."""
        attributes = self.source.get("/A")
        return None if attributes is None else attributes.get(name)


@dataclass
class Page:
    """What a page's content stream does: marked contents in painting order, and what stands outside of any."""

    marked: list[int] = field(default_factory=list)
    artifacts: int = 0
    pagination_artifacts: int = 0
    unmarked: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)


class TaggedPdf:
    """A PDF's structure tree beside its pages' contents."""

    def __init__(self, pdf: Any) -> None:
        self.pdf = pdf
        self._pages = {page.objgen: index for index, page in enumerate(pdf.pages)}
        self.pages = [_page(page) for page in pdf.pages]
        self.document = self._element(pdf.Root.StructTreeRoot.K[0], None)

    @property
    def elements(self) -> list[Element]:
        """Every element in reading order."""
        return list(self.document.walk())

    def of_role(self, *roles: str) -> list[Element]:
        """The elements of these roles, in reading order."""
        return [element for element in self.elements if element.role in roles]

    def _element(self, source: Any, parent: Element | None) -> Element:
        element = Element(str(source.S).lstrip("/"), source, parent)
        for kid in source.get("/K", pikepdf.Array()):
            if isinstance(kid, int):
                element.contents.append((self._pages[source.Pg.objgen], int(kid)))
            elif kid.get("/Type") == "/OBJR":
                element.annotations.append(kid.Obj)
            else:
                element.children.append(self._element(kid, element))
        return element


def _page(page: Any) -> Page:
    found = Page()
    open_contents: list[str] = []
    instructions: Any = pikepdf.parse_content_stream(page)
    for operands, operator in instructions:
        name = str(operator)
        if name in ("BMC", "BDC"):
            tag = str(operands[0])
            properties = operands[1] if name == "BDC" else {}
            mcid = properties.get("/MCID")
            kind = "artifact" if tag == "/Artifact" else "tagged" if mcid is not None else "other"
            if kind == "artifact":
                found.artifacts += 1
                found.pagination_artifacts += properties.get("/Type") == "/Pagination"
            elif mcid is not None:
                found.marked.append(int(mcid))
            if {kind, *open_contents} >= {"artifact", "tagged"}:
                found.misplaced.append(f"{kind} within {open_contents}")
            open_contents.append(kind)
        elif name == "EMC":
            open_contents.pop()
        elif name in _PAINTING and not {"artifact", "tagged"} & set(open_contents):
            found.unmarked.append(name)
    if open_contents:
        found.misplaced.append("a marked content that does not end")
    return found


def defects(tagged: TaggedPdf) -> list[str]:
    """Every rule that the document breaks; none is the only good answer."""
    return [
        *_of_the_document(tagged),
        *_of_the_contents(tagged),
        *_of_the_nesting(tagged),
        *_of_the_headings(tagged),
        *_of_the_tables(tagged),
        *_of_figures_and_links(tagged),
    ]


def _of_the_document(tagged: TaggedPdf) -> Iterator[str]:
    root = tagged.pdf.Root
    if root.get("/MarkInfo", {}).get("/Marked") is not True:
        yield "6.2: not marked as tagged"
    if root.get("/ViewerPreferences", {}).get("/DisplayDocTitle") is not True:
        yield "7.1: the title is not displayed"
    if not str(root.get("/Lang", "")):
        yield "7.2: no language"
    with tagged.pdf.open_metadata() as metadata:
        if not metadata.get("dc:title"):
            yield "7.1: no title in the metadata"
        if metadata.get("pdfuaid:part") != "1":
            yield "5: PDF/UA-1 is not claimed"
    for number, page in enumerate(tagged.pdf.pages, start=1):
        if page.get("/Tabs") != "/S":
            yield f"7.18.3: page {number} has no tab order of the structure"


def _of_the_contents(tagged: TaggedPdf) -> Iterator[str]:
    """7.1: every content is an artifact or has exactly one place in the tree, and the tree invents none."""
    in_tree = tagged.document.all_contents()
    if len(in_tree) != len(set(in_tree)):
        yield "7.1: a marked content stands twice in the tree"
    on_pages = {(index, mcid) for index, page in enumerate(tagged.pages) for mcid in page.marked}
    if missing := on_pages - set(in_tree):
        yield f"7.1: {len(missing)} marked contents are not in the tree"
    if invented := set(in_tree) - on_pages:
        yield f"7.1: {len(invented)} contents of the tree are on no page"
    parents = dict(_pairs(tagged.pdf.Root.StructTreeRoot.ParentTree.Nums))
    by_content = {
        content: element.source.objgen for element in tagged.elements for content in element.contents
    }
    for index, (page, source) in enumerate(zip(tagged.pages, tagged.pdf.pages, strict=True)):
        if page.unmarked:
            yield f"7.1: page {index + 1} paints outside of marked contents: {sorted(set(page.unmarked))}"
        for misplaced in page.misplaced:
            yield f"7.1: page {index + 1}: {misplaced}"
        entries = parents[int(source.StructParents)]
        wrong = [mcid for mcid in page.marked if entries[mcid].objgen != by_content.get((index, mcid))]
        if wrong:
            yield f"ISO 32000-1 14.7.4.4: the parent tree of page {index + 1} leads elsewhere for {wrong[:3]}"


def _of_the_nesting(tagged: TaggedPdf) -> Iterator[str]:
    for element in tagged.elements:
        if element.role not in _STANDARD:
            yield f"7.1: {element.role} is no standard structure type"
        if allowed := _CHILDREN.get(element.role):
            wrong = {child.role for child in element.children} - allowed
            if wrong or element.contents:
                yield f"7.2: a {element.role} holds {sorted(wrong) or 'content'}"
        allowed = _PARENTS.get(element.role, set())
        if allowed and (element.parent is None or element.parent.role not in allowed):
            yield f"7.2: a {element.role} stands outside of {sorted(allowed)}"
        parent = element.source.P.objgen
        expected = element.parent.source if element.parent else tagged.pdf.Root.StructTreeRoot
        if parent != expected.objgen:
            yield f"ISO 32000-1 14.7.2: a {element.role} names another parent than the one that holds it"


def _of_the_headings(tagged: TaggedPdf) -> Iterator[str]:
    level = 0
    for heading in tagged.of_role("H1", "H2", "H3", "H4", "H5", "H6"):
        own = int(heading.role[1])
        if own > level + 1:
            yield f"7.4.2: {heading.role} follows level {level}"
        level = own
        if not heading.all_contents():
            yield f"7.4: an empty {heading.role}"
    if len(tagged.of_role("H1")) != 1:
        yield "one H1 names the document"


def _of_the_tables(tagged: TaggedPdf) -> Iterator[str]:
    """7.5: rows of one width, and every data cell leads to header cells that say for what they stand."""
    names = [
        bytes(name) for name, _ in _pairs(tagged.pdf.Root.StructTreeRoot.get("/IDTree", {}).get("/Names", []))
    ]
    heads = {bytes(element.source.ID): element for element in tagged.of_role("TH") if "/ID" in element.source}
    if names != sorted(heads):
        yield "ISO 32000-1 14.7.2: the tree of ids is not that of the elements, sorted"
    for table in tagged.of_role("Table"):
        rows = [element for element in table.walk() if element.role == "TR"]
        widths = {sum(int(cell.attribute("/ColSpan") or 1) for cell in row.children) for row in rows}
        if len(widths) != 1:
            yield f"7.2: a table's rows have {sorted(widths)} columns"
        for cell in (cell for row in rows for cell in row.children):
            if cell.role == "TH" and cell.attribute("/Scope") not in ("/Row", "/Column"):
                yield "7.5: a header cell without scope"
            if cell.role == "TD":
                headers = [bytes(name) for name in cell.attribute("/Headers") or []]
                if not headers or any(name not in heads for name in headers):
                    yield "7.5: a data cell without headers"


def _of_figures_and_links(tagged: TaggedPdf) -> Iterator[str]:
    for figure in tagged.of_role("Figure"):
        if not str(figure.source.get("/Alt", "")).strip():
            yield "7.3: a figure without alternative text"
        if not figure.all_contents():
            yield "7.3: a figure without content"
        page = tagged.pdf.pages[tagged._pages[figure.source.Pg.objgen]]
        left, bottom, right, top = (float(edge) for edge in figure.attribute("/BBox"))
        if not (
            0 <= left < right <= float(page.MediaBox[2]) and 0 <= bottom < top <= float(page.MediaBox[3])
        ):
            yield "ISO 32000-1 14.8.5.4: a figure's box is not on its page"
    tagged_annotations = {
        annotation.objgen for link in tagged.of_role("Link") for annotation in link.annotations
    }
    for page in tagged.pdf.pages:
        for annotation in page.get("/Annots", pikepdf.Array()):
            if annotation.objgen not in tagged_annotations:
                yield "7.18.5: a link outside of a Link element"
            if not str(annotation.get("/Contents", "")).strip():
                yield "7.18.5: a link without a description"
            if int(annotation.get("/F", 0)) & 4 == 0:
                yield "ISO 19005-3 6.3.2: an annotation that is not printed"


def _pairs(flat: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Key and value of a number tree's or name tree's array."""
    items = iter(flat)
    return (
        (key if not isinstance(key, (int, float)) else int(key), value)
        for key, value in zip(items, items, strict=True)
    )
