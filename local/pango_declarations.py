"""Writes `billing/documents/pdf/pango_declarations.py`: what WeasyPrint declares of Pango's C interface, read beforehand.

Run `python -m local.pango_declarations` after an upgrade of WeasyPrint or cffi; a test says when it is due. cffi itself
writes it (its out-of-line ABI mode, https://cffi.readthedocs.io/en/stable/cdef.html); no C compiler is involved.
"""

import ast
import hashlib
import tempfile
from importlib.util import find_spec
from pathlib import Path

import cffi  # type: ignore[import-untyped]  # it comes without types

WRITTEN = Path(__file__).parents[1] / "layers/billing/billing/documents/pdf/pango_declarations.py"


def declared() -> str:
    """The C declarations in WeasyPrint's source, as one text."""
    found = find_spec("weasyprint")
    assert found is not None
    assert found.origin is not None
    source = (Path(found.origin).parent / "text" / "ffi.py").read_text("utf-8")
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cdef"
    ]
    (call,) = calls
    return str(ast.literal_eval(call.args[0]))


def module_text() -> str:
    """The module's source."""
    declarations = declared()
    ffi = cffi.FFI()
    ffi.cdef(declarations)
    ffi.set_source("pango_declarations", None)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "module.py")
        ffi.emit_python_code(str(written))
        _, _, code = written.read_text("ascii").partition("import _cffi_backend\n")
    digest = hashlib.sha256(declarations.encode()).hexdigest()
    return (
        '"""What WeasyPrint declares of Pango\'s C interface, as cffi has read it; see local/pango_declarations.py."""\n\n'
        f'import _cffi_backend  # type: ignore[import-untyped]  # it comes without types\n\n#: SHA-256 of the declarations.\nDECLARED = "{digest}"\n{code}'
    )


if __name__ == "__main__":
    WRITTEN.write_text(module_text(), "ascii")
