"""Makes WeasyPrint do once what it does again for every cell of a long list; the bytes of the PDF stay the same.

Each function below stands in for one of WeasyPrint's or pydyf's and is meant to be proposed to them. What they rest on
was read in exactly `WEASYPRINT` and `PYDYF`: with any other version nothing is replaced, and documents are drawn as
before, only slower. docs/benchmarks.md says what each one gives.

In a list of work done, dates, names, hours, rates and many amounts come again and again. Such a line of text is laid
out once (`_get_next_linebox`) and its glyphs are looked up once (`_draw_text`); the description alone is always new.
"""

import sys
from collections.abc import Callable
from typing import Any

#: The versions whose code these functions know.
WEASYPRINT = "70.0"
PYDYF = "0.13.0"
#: Longer texts hardly come twice; keeping them would cost memory for nothing.
_LONGEST_KEPT_TEXT = 60


def apply() -> bool:
    """Replace the functions, once per process; whether they are replaced."""
    import pydyf  # noqa: PLC0415  # only the worker has WeasyPrint and what it brings
    import weasyprint  # noqa: PLC0415  # same
    from weasyprint.css import ComputedStyle  # noqa: PLC0415  # same
    from weasyprint.formatting_structure.boxes import Box  # noqa: PLC0415  # same

    if (weasyprint.__version__, pydyf.__version__) != (WEASYPRINT, PYDYF):
        return False
    if not hasattr(weasyprint, _APPLIED):
        setattr(weasyprint, _APPLIED, True)
        _replace_everywhere("weasyprint.layout.inline", "get_next_linebox", _get_next_linebox)
        _replace_everywhere("weasyprint.draw.text", "draw_text", _draw_text)
        ComputedStyle.__missing__ = _missing(ComputedStyle.__missing__)
        Box.is_in_normal_flow = _is_in_normal_flow(Box.is_in_normal_flow)
        pydyf.PDF.page_references = property(_page_references(pydyf.PDF.page_references.fget))
        for kind in (pydyf.Stream, pydyf.Dictionary, pydyf.Array):
            kind.data = property(_data(kind.data.fget))
    return True


_APPLIED = "_directus_legal_billing_patches"


def _replace_everywhere(module: str, name: str, replacement: Callable[[Any], Any]) -> None:
    """Put `replacement(original)` wherever WeasyPrint's modules have imported the original."""
    original = getattr(sys.modules[module], name)
    patched = replacement(original)
    package = module.partition(".")[0]
    for loaded, content in list(sys.modules.items()):
        if loaded.partition(".")[0] == package and getattr(content, name, None) is original:
            setattr(content, name, patched)


#: Computed values of these kinds hold no `calc()`.
_SCALARS = {str, int, float, bool, type(None)}


def _missing(original: Any) -> Any:
    """A property that nobody has declared is the initial or the parent's value; most are, and it takes no search."""
    css = sys.modules["weasyprint.css"]
    special = {"page", "position", "float", "display", *css.PHYSICAL_FUNCTIONS}
    special |= {name for name in css.INITIAL_VALUES if name.startswith("text_decoration_")}
    initial = {
        name: value
        for name, value in css.INITIAL_VALUES.items()
        if name not in special | css.INHERITED | css.INITIAL_NOT_COMPUTED and not css.check_math(value)
    }
    inherited = css.INHERITED - special

    def missing(style: Any, key: str) -> Any:
        if key not in style.cascaded:
            if key in initial:
                value = style[key] = initial[key]
                return value
            if key in inherited and style.parent_style is not None:
                value = style.parent_style[key]
                if type(value) in _SCALARS or not css.check_math(value):
                    style[key] = value
                    return value
        return original(style, key)

    return missing


_OUT_OF_FLOW = {"left", "right", "inline-start", "inline-end", "footnote"}


def _is_in_normal_flow(_original: Any) -> Any:
    """The same five questions, without a call for each."""

    def is_in_normal_flow(box: Any) -> bool:
        position = box.style["position"]
        return box.style["float"] not in _OUT_OF_FLOW and (
            position in {"static", "relative"}
            or not (position in {"absolute", "fixed"} or position[0] in {"running()", "note()"})
        )

    return is_in_normal_flow


#: What a laid out line owes to its own place rather than to its text and style.
_OF_THE_PLACE = {
    "element",
    "children",
    "position_x",
    "position_y",
    "width",
    "height",
    "remove_decoration_sides",
}


def _get_next_linebox(original: Any) -> Any:
    """A short text that fills one line of a cell is laid out once per column; others like it are copies of it."""
    from weasyprint.formatting_structure.boxes import TableCellBox, TextBox  # noqa: PLC0415  # see apply

    def signature(box: Any) -> dict[str, Any]:
        return {name: value for name, value in box.__dict__.items() if name not in _OF_THE_PLACE}

    def placed(kept: Any, source: Any, position_y: float) -> Any:
        box = kept.copy()
        box.element = source.element
        box.remove_decoration_sides = set(kept.remove_decoration_sides)
        box.position_y += position_y
        return box

    def get_next_linebox(  # noqa: PLR0917  # the signature of what it stands in for
        context: Any, linebox: Any, position_y: Any, bottom_space: Any, skip_stack: Any, containing_block: Any,
        absolute_boxes: Any, fixed_boxes: Any, first_letter_style: Any, first_line_style: Any,
    ) -> Any:  # fmt: skip
        def laid_out() -> Any:
            return original(
                context, linebox, position_y, bottom_space, skip_stack, containing_block,
                absolute_boxes, fixed_boxes, first_letter_style, first_line_style,
            )  # fmt: skip

        if (
            skip_stack is not None
            or first_letter_style
            or first_line_style
            or len(linebox.children) != 1
            or type(linebox.children[0]) is not TextBox
            or type(containing_block) is not TableCellBox
            or len(linebox.children[0].text) > _LONGEST_KEPT_TEXT
            or context.excluded_shapes
        ):
            return laid_out()
        text = linebox.children[0]
        lines = context.__dict__.setdefault("kept_lines", {})
        key = (
            text.text,
            id(text.style),
            id(containing_block.style),
            containing_block.content_box_x(),
            containing_block.width,
        )
        found = lines.get(key)
        if found is None:
            # Kept with their styles, whose ids therefore stay theirs.
            before = signature(linebox), signature(text), containing_block.style
            line, resume_at = laid_out()
            if (
                resume_at is None
                and line is not None
                and [type(child) for child in line.children] == [TextBox]
            ):
                kept_line, kept_text = line.copy(), line.children[0].copy()
                kept_line.position_y -= position_y
                kept_text.position_y -= position_y
                lines[key] = before, kept_line, kept_text
            return line, resume_at
        before, kept_line, kept_text = found
        if before[:2] != (signature(linebox), signature(text)):
            return laid_out()
        line = placed(kept_line, linebox, position_y)
        line.children = [placed(kept_text, text, position_y)]
        kept_text.pango_layout.drawn_again = True
        return line, None

    return get_next_linebox


class _Strokes:
    """Passes a text on to the stream and remembers how it was drawn."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.remembered: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._stream, name)
        if name not in {"set_font_size", "show_text", "set_text_rise"}:
            return attribute

        def remember(*arguments: Any) -> None:
            self.remembered.append((name, arguments))
            attribute(*arguments)

        return remember


def _draw_text(original: Any) -> Any:
    """A text that `_get_next_linebox` has copied shows the same glyphs wherever it stands."""
    draw_first_line = sys.modules["weasyprint.draw.text"].draw_first_line
    matrix = sys.modules["weasyprint.draw.text"].Matrix

    def draw_text(stream: Any, textbox: Any, offset_x: Any, text_overflow: Any, block_ellipsis: Any) -> None:
        layout, style = textbox.pango_layout, textbox.style
        plain = (
            getattr(layout, "drawn_again", False)
            and (text_overflow, block_ellipsis) == ("clip", "none")
            and style["text_decoration_line"] == "none"
            and style["visibility"] == "visible"
        )
        if not plain:
            original(stream, textbox, offset_x, text_overflow, block_ellipsis)
            return
        x, y = textbox.position_x, textbox.position_y + textbox.baseline
        stream.set_color(style["color"])
        if not hasattr(layout, "strokes"):
            layout.reactivate(style)
            strokes = _Strokes(stream)
            stream.begin_text()
            emojis = draw_first_line(strokes, textbox, text_overflow, block_ellipsis, matrix(d=-1, e=x, f=y))
            stream.end_text()
            sys.modules["weasyprint.draw.text"].draw_emojis(stream, style, x, y, emojis)
            layout.deactivate()
            if emojis:
                layout.drawn_again = False
            else:
                layout.strokes = strokes.remembered
            return
        stream.begin_text()
        if layout.strokes:
            stream.set_text_matrix(1, 0, 0, -1, x, y)
        for name, arguments in layout.strokes:
            getattr(stream, name)(*arguments)
        stream.end_text()

    return draw_text


def _page_references(original: Any) -> Any:
    """Asked for once per element of the structure, and made anew from all pages each time: quadratic."""

    def page_references(pdf: Any) -> Any:
        pages = len(pdf.pages["Kids"])
        if pdf.__dict__.get("kept_references", (None,))[0] != pages:
            pdf.kept_references = pages, original(pdf)
        return pdf.kept_references[1]

    return page_references


def _data(original: Any) -> Any:
    """What is written is asked for twice: for the file, and for the identifier that is made of all of it."""

    def data(item: Any) -> Any:
        if item.number is None:
            return original(item)
        if "kept_data" not in item.__dict__:
            item.kept_data = original(item)
        return item.kept_data

    return data
