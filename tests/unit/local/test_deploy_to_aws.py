import re
import subprocess
from pathlib import Path

import pytest

from local.deploy_to_aws import build_arguments, deploy_arguments, saved_parameters
from local.problem import Problem
from local.setup.paths import ROOT

NOTHING_SAVED = "version = 0.1\n[default.deploy.parameters]\nresolve_s3 = true\n"
AS_SAM_SAVES = (
    "[default.deploy.parameters]\n"
    'parameter_overrides = "DirectusUrl=\\"https://d.example\\" Architecture=\\"arm64\\" WeasyPrintLayerArn=\\"\\""\n'
)
ARN = "arn:aws:lambda:eu-west-1:123456789012:layer:pdf:3"


def test_sam_asks_for_the_parameters_until_they_are_saved() -> None:
    assert deploy_arguments(saved_parameters(NOTHING_SAVED), ["build"]) == ["deploy", "--guided"]
    assert deploy_arguments(saved_parameters(AS_SAM_SAVES), ["build"]) == ["deploy"]


def test_sam_offers_what_was_built_as_the_first_answer() -> None:
    overrides = ["--parameter-overrides", "Architecture=arm64"]
    assert deploy_arguments({}, build_arguments({}, {"Architecture": "arm64"})) == [
        "deploy",
        "--guided",
        *overrides,
    ]


def test_both_forms_of_saved_parameters_are_read() -> None:
    listed = f'[default.deploy.parameters]\nparameter_overrides = ["Architecture=x86_64", "WeasyPrintLayerArn={ARN}"]\n'
    assert saved_parameters(AS_SAM_SAVES) == {
        "DirectusUrl": "https://d.example",
        "Architecture": "arm64",
        "WeasyPrintLayerArn": "",
    }
    assert saved_parameters(listed) == {"Architecture": "x86_64", "WeasyPrintLayerArn": ARN}


def test_the_readmes_command_starts_the_schedules_and_changes_nothing_else(tmp_path: Path) -> None:
    (command,) = re.findall(
        r"^ +(sed .* samconfig\.toml)$", (ROOT / "docs/deploy.md").read_text(), re.MULTILINE
    )
    saved = AS_SAM_SAVES.replace(" Architecture", ' ScheduleState=\\"DISABLED\\" Architecture')
    (tmp_path / "samconfig.toml").write_text(saved)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    before, after = saved_parameters(saved), saved_parameters((tmp_path / "samconfig.toml").read_text())
    assert after == {**before, "ScheduleState": "ENABLED"}


def test_what_is_deployed_is_what_is_built() -> None:
    saved = saved_parameters(AS_SAM_SAVES)
    assert build_arguments(saved, {}) == ["build", "--parameter-overrides", "Architecture=arm64"]
    assert build_arguments({}, {"WeasyPrintLayerArn": ARN}) == [
        "build",
        "--parameter-overrides",
        f"WeasyPrintLayerArn={ARN}",
    ]
    assert build_arguments({}, {}) == ["build"]


def test_two_answers_to_one_question_are_refused() -> None:
    with pytest.raises(Problem, match="Architecture is 'x86_64' in the environment and 'arm64' in samconfig"):
        build_arguments({"Architecture": "arm64"}, {"Architecture": "x86_64"})
