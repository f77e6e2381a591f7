import io
import os
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from local.adapter.sandbox import Function, Mode, bootstrap, bootstrap_zip, merged_layers
from local.setup.paths import ROOT


@pytest.fixture
def function(tmp_path: Path) -> Function:
    layers = tuple(tmp_path / "build" / name for name in ("BillingLayer", "DependenciesLayer"))
    for layer in layers:
        (layer / "python" / "shared").mkdir(parents=True)
    task = tmp_path / "build" / "CheckoutFunction"
    task.mkdir()
    return Function(task, layers, "app.handler", "python3.13", ("DEPLOYMENT", "RETURN_URL"), "JSON", "DEBUG")


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A directory for PATH with a `bwrap` that writes down what it was asked; it refuses what `$REFUSED` names."""
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "bwrap"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n'
        'for part in "$@"; do [ "$part" = "${REFUSED:-none}" ] && exit 1; done\nexit 0\n'
    )
    program.chmod(0o755)
    return programs


def mode_with(programs: Path, **variables: str) -> str:
    outcome = subprocess.run(
        [sys.executable, "-c", "from local.adapter.sandbox import available_mode; print(available_mode())"],
        cwd=ROOT,
        env={"PATH": str(programs), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return outcome.stdout.strip()


def test_bubblewrap_is_tried_with_the_options_of_the_bootstrap(
    function: Function, stand_in: Path, tmp_path: Path
) -> None:
    assert mode_with(stand_in) == Mode.BUBBLEWRAP
    tried = (tmp_path / "asked").read_text()
    script = bootstrap(function, opt=tmp_path / "opt", endpoint_url="http://e", mode=Mode.BUBBLEWRAP)
    command = script.partition("exec bwrap \\\n")[2].partition("--ro-bind " + str(tmp_path / "build"))[0]
    wanted = [option for option in command.split() if option.startswith("--")]
    assert {"--as-pid-1", "--clearenv", "--size", "--tmpfs"} <= set(wanted)
    assert [option for option in wanted if option not in tried.split()] == []


@pytest.mark.parametrize("option", ["--as-pid-1", "--clearenv", "--size", "--tmpfs"])
def test_a_bubblewrap_that_lacks_an_option_is_not_used(stand_in: Path, option: str) -> None:
    assert mode_with(stand_in, REFUSED=option) == Mode.PROCESS


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


@pytest.mark.parametrize("mode", list(Mode))
def test_a_function_is_told_the_level_of_its_log_as_lambda_tells_it(
    function: Function, tmp_path: Path, mode: Mode
) -> None:
    script = bootstrap(function, opt=tmp_path / "opt", endpoint_url="http://e", mode=mode)
    assert re.search(r"AWS_LAMBDA_LOG_LEVEL[ =]DEBUG\b", script)
    text = replace(function, log_format="Text", log_level="")
    assert "AWS_LAMBDA_LOG_LEVEL" not in bootstrap(
        text, opt=tmp_path / "opt", endpoint_url="http://e", mode=mode
    )


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
