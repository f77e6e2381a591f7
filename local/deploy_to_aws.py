"""`make deploy`: builds and deploys to AWS; the PDF layer is built first, so that what stops it stops everything.

python -m local.deploy_to_aws
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from typing import Final

from local.adapter.build import sam_environment
from local.problem import Problem
from local.setup.paths import ROOT, python_environment

EMULATOR_ONLY: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")

BUILD_PARAMETERS: Final = ("Architecture", "WeasyPrintLayerArn")
"""Parameters of the template that decide what `sam build` does; `sam deploy` saves its answers for itself alone."""


def saved_parameters(samconfig: str) -> dict[str, str]:
    """Return what `sam deploy --guided` saved in samconfig.toml; empty before the first time.

    SAM saves one string, `Name="value" Name="value"`, and also reads a list of `Name=value`.
    """
    saved = (
        tomllib.loads(samconfig)
        .get("default", {})
        .get("deploy", {})
        .get("parameters", {})
        .get("parameter_overrides", "")
    )
    if isinstance(saved, list):
        return dict(entry.partition("=")[::2] for entry in saved)
    return {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|(\S*))', saved)}


def build_arguments(saved: Mapping[str, str], given: Mapping[str, str]) -> list[str]:
    """Return how to call `sam build`; `given` (the environment) decides where nothing was saved yet.

    Raises `Problem` when both name a value and they differ: what is built would not be what is deployed.
    """
    overrides = []
    for name in BUILD_PARAMETERS:
        if name in given and name in saved and given[name] != saved[name]:
            raise Problem(
                f"Not deployed: {name} is {given[name]!r} in the environment and {saved[name]!r} in samconfig.toml."
            )
        if value := given.get(name) or saved.get(name):
            overrides.append(f"{name}={value}")
    return ["build", *(["--parameter-overrides", *overrides] if overrides else [])]


def deploy_arguments(saved: Mapping[str, str], building: Sequence[str]) -> list[str]:
    """Return how to call `sam deploy`: it asks for the parameters until a first answer has been saved.

    What was built is then the answer that it offers.
    """
    return ["deploy"] if saved else ["deploy", "--guided", *building[1:]]


def main() -> int:
    """Build and deploy; return the exit code."""
    saved = saved_parameters((ROOT / "samconfig.toml").read_text())
    try:
        building = build_arguments(saved, os.environ)
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    added = {name: value for name, value in sam_environment().items() if name not in EMULATOR_ONLY}
    sam = python_environment("sam") / "bin" / "sam"
    for arguments in (building, deploy_arguments(saved, building)):
        code = subprocess.run(
            [sam, *arguments], cwd=ROOT, env={**os.environ, **added}, check=False
        ).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
