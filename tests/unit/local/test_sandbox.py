import io
import os
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.adapter.sandbox import Function, Mode, bootstrap, bootstrap_zip, merged_layers


@pytest.fixture
def function(tmp_path: Path) -> Function:
    layers = tuple(tmp_path / "build" / name for name in ("BillingLayer", "DependenciesLayer"))
    for layer in layers:
        (layer / "python" / "shared").mkdir(parents=True)
    task = tmp_path / "build" / "CheckoutFunction"
    task.mkdir()
    return Function(task, layers, "app.handler", "python3.13", ("DEPLOYMENT", "RETURN_URL"), "JSON")


@pytest.mark.parametrize("mode", list(Mode))
def test_the_bootstrap_is_a_script_that_bash_understands(
    function: Function, tmp_path: Path, mode: Mode
) -> None:
    script = bootstrap(function, opt=tmp_path / "opt", endpoint_url="http://127.0.0.1:4566", mode=mode)
    outcome = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert '-m awslambdaric "$_HANDLER"' in script


def test_code_and_layers_are_mounted_read_only(function: Function, tmp_path: Path) -> None:
    script = bootstrap(function, opt=tmp_path / "opt", endpoint_url="http://e", mode=Mode.BUBBLEWRAP)
    assert f"--ro-bind {function.task} /var/task" in script
    assert f"--ro-bind {tmp_path}/opt /opt" in script
    assert "--bind " not in script.replace("--ro-bind ", "")


def test_only_lambdas_variables_and_the_templates_are_passed_on(function: Function, tmp_path: Path) -> None:
    script = bootstrap(function, opt=tmp_path / "opt", endpoint_url="http://e", mode=Mode.BUBBLEWRAP)
    assert "--clearenv" in script
    (names,) = [line for line in script.splitlines() if line.startswith("for name in")]
    assert "DEPLOYMENT RETURN_URL; do" in names
    assert "HOME" not in names


def test_the_plain_process_has_an_environment_of_its_own(function: Function, tmp_path: Path) -> None:
    script = bootstrap(function, opt=tmp_path / "opt", endpoint_url="http://e", mode=Mode.PROCESS)
    assert "env -i" in script
    assert "bwrap" not in script
    assert f"{tmp_path}/opt/python" in script


def test_the_same_script_gives_the_same_executable_zip() -> None:
    first, second = bootstrap_zip("#!/bin/bash\n"), bootstrap_zip("#!/bin/bash\n")
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        (entry,) = archive.infolist()
    assert entry.filename == "bootstrap"
    assert entry.external_attr >> 16 & 0o777 == 0o755


def test_later_layers_lie_over_earlier_ones(function: Function) -> None:
    first, second = function.layers
    (first / "python/shared/name.py").write_text("NAME = 'first'\n")
    (first / "python/only_first.py").write_text("ONE = 1\n")
    (second / "python/shared/name.py").write_text("NAME = 'second'\n")
    (first / "bin").mkdir()
    (first / "bin/tool").write_text("#!/bin/sh\n")
    (first / "bin/tool").chmod(0o755)

    merged = merged_layers(function.layers)

    assert (merged / "python/shared/name.py").read_text() == "NAME = 'second'\n"
    assert (first / "python/shared/name.py").read_text() == "NAME = 'first'\n"
    assert (merged / "python/only_first.py").exists()
    assert os.access(merged / "bin/tool", os.X_OK)
    assert list(merged.glob("python/__pycache__/only_first.*.pyc"))
    assert not list(first.rglob("*.pyc"))
    assert merged_layers(function.layers) == merged


def test_two_stacks_may_merge_the_same_layers_at_once(function: Function) -> None:
    with ThreadPoolExecutor(max_workers=2) as threads:
        # Two processes in life; a thread is enough, because the second rename finds the first one's result.
        merged = set(threads.map(merged_layers, [function.layers, function.layers]))
    (result,) = merged
    assert not list(result.parent.glob("*.building"))
