"""Our own layer is built with byte code that trusts its source, in the artifact alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from layers.weasyprint.native.tree import members
from local.setup.paths import ROOT

UNCHECKED_HASH = 0b01


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A small layer like ours, with what a developer's run left beside its sources."""
    folder = tmp_path / "layers/billing"
    (folder / "billing/__pycache__").mkdir(parents=True)
    shutil.copy(ROOT / "layers/billing/Makefile", folder)
    (folder / "billing/__init__.py").touch()
    (folder / "billing/money.py").write_text("CENTS = {'USD': 2, 'JPY': 0}\n")
    (folder / "billing/__pycache__/money.cpython-313.pyc").write_bytes(b"stale")
    (folder / "billing/__pycache__/removed.cpython-313.pyc").write_bytes(b"stale")
    return folder


def build(sources: Path, artifact: Path) -> Path:
    subprocess.run(
        ["make", "--silent", f"PYTHON={sys.executable}", f"ARTIFACTS_DIR={artifact}", "build-BillingLayer"],
        cwd=sources,
        check=True,
    )
    return artifact


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in members(folder) if path.is_file()
    }


def test_every_module_has_byte_code_that_trusts_it_and_names_it_as_lambda_does(
    sources: Path, tmp_path: Path
) -> None:
    built = contents(build(sources, tmp_path / "artifact"))
    compiled = {name for name in built if name.endswith(".pyc")}
    assert compiled == {
        "python/billing/__pycache__/__init__.cpython-313.pyc",
        "python/billing/__pycache__/money.cpython-313.pyc",
    }
    for name in compiled:
        assert int.from_bytes(built[name][4:8], "little") == UNCHECKED_HASH
        assert b"/opt/python/billing/" in built[name]
        assert str(tmp_path).encode() not in built[name]


def test_two_builds_are_the_same_bytes(sources: Path, tmp_path: Path) -> None:
    assert contents(build(sources, tmp_path / "one")) == contents(build(sources, tmp_path / "two"))


def test_a_changed_source_is_compiled_anew_and_the_sources_stay_as_they_were(
    sources: Path, tmp_path: Path
) -> None:
    artifact = build(sources, tmp_path / "artifact")
    (sources / "billing/money.py").write_text("CENTS = {'USD': 3, 'JPY': 0}\n")
    before = contents(sources)
    build(sources, artifact)
    assert contents(sources) == before
    said = subprocess.run(
        [sys.executable, "-c", "from billing import money; print(money.CENTS, money.__cached__)"],
        env={"PYTHONPATH": str(artifact / "python")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.startswith("{'USD': 3, 'JPY': 0} ")
