"""Lambda cannot keep what it compiles: whatever a function imports from our layers was compiled when they were built."""

from pathlib import Path

from tests.clean_room.conftest import LAYERS

UNCHECKED_HASH = 0b01


def test_every_module_of_the_built_layers_has_byte_code_that_is_not_looked_up_again(build: Path) -> None:
    modules = [path for name in LAYERS for path in sorted((build / name / "python").rglob("*.py"))]
    assert len(modules) > 500
    without = [
        path.relative_to(build)
        for path in modules
        if not (path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc").exists()
    ]
    assert without == []


def test_byte_code_names_files_as_lambda_has_them_and_nothing_of_this_machine(build: Path) -> None:
    compiled = [path for name in LAYERS for path in sorted((build / name).rglob("*.pyc"))]
    for path in compiled:
        content = path.read_bytes()
        assert int.from_bytes(content[4:8], "little") == UNCHECKED_HASH, path
        assert b"/opt/python/" in content, path
        assert str(build).encode() not in content, path
