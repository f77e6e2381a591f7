import json
import os
from pathlib import Path

import pytest

from local.adapter.build import claim, prune, source_digest


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "functions/checkout").mkdir(parents=True)
    (tmp_path / "layers/billing/billing").mkdir(parents=True)
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    (tmp_path / "functions/checkout/app.py").write_text("ONE = 1\n")
    (tmp_path / "layers/billing/billing/money.py").write_text("TWO = 2\n")
    return tmp_path


def test_the_key_changes_with_every_source(sources: Path) -> None:
    seen = {source_digest(sources)}
    for name in ("template.yaml", "functions/checkout/app.py", "layers/billing/billing/money.py"):
        (sources / name).write_text("# changed\n")
        seen.add(source_digest(sources))
    (sources / "functions/checkout/new.py").write_text("")
    seen.add(source_digest(sources))
    (sources / "functions/checkout/new.py").chmod(0o755)
    seen.add(source_digest(sources))
    assert len(seen) == 6


def test_a_renamed_file_changes_the_key(sources: Path) -> None:
    before = source_digest(sources)
    (sources / "functions/checkout/app.py").rename(sources / "functions/checkout/worker.py")
    assert source_digest(sources) != before


def test_what_python_leaves_behind_and_other_folders_do_not_change_the_key(sources: Path) -> None:
    before = source_digest(sources)
    (sources / "functions/checkout/__pycache__").mkdir()
    (sources / "functions/checkout/__pycache__/app.cpython-313.pyc").write_bytes(b"compiled")
    (sources / "README.md").write_text("changed")
    assert source_digest(sources) == before


def test_old_builds_go_but_not_those_a_stack_claims(tmp_path: Path) -> None:
    builds = tmp_path / "builds"
    for age in range(4):
        (builds / f"build-{age}" / "build").mkdir(parents=True)
        os.utime(builds / f"build-{age}", (1000 - age, 1000 - age))
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"build": str(builds / "build-3" / "build")}))
    claim(builds / "build-2" / "build", facts)
    claim(builds / "build-3" / "build", facts)
    for age in range(4):
        os.utime(builds / f"build-{age}", (1000 - age, 1000 - age))

    prune(builds, keep=1)
    assert {path.name for path in builds.iterdir()} == {"build-0", "build-3"}

    facts.unlink()
    prune(builds, keep=1)
    assert {path.name for path in builds.iterdir()} == {"build-0"}
