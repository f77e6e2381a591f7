"""`make deploy`: builds and deploys to AWS, once the PDF layer can run there.

python -m local.deploy_to_aws
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from local.adapter.build import sam_environment
from local.problem import Problem
from local.setup.paths import ROOT, python_environment

NATIVE_LIBRARIES: Final = ROOT / "layers" / "weasyprint" / "native"
"""Holds the recipe that brings pango and fonts into the layer; comes with the PDF issue."""

EMULATOR_ONLY: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


def refuse_without_native_libraries(native: Path = NATIVE_LIBRARIES) -> None:
    """Raise `Problem` while WeasyPrint would not find its libraries in Lambda."""
    if not native.exists():
        shown = native.relative_to(ROOT) if native.is_relative_to(ROOT) else native
        raise Problem(
            "Not deployed: the WeasyPrint layer has no native libraries yet"
            f" ({shown} is missing), so invoices could not be rendered in AWS."
        )


def deploy_arguments(samconfig: str) -> list[str]:
    """Return how to call sam: it asks for the parameters until a first answer has been saved."""
    return ["deploy"] if "parameter_overrides" in samconfig else ["deploy", "--guided"]


def main() -> int:
    """Build and deploy; return the exit code."""
    try:
        refuse_without_native_libraries()
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    added = {name: value for name, value in sam_environment().items() if name not in EMULATOR_ONLY}
    sam = python_environment("sam") / "bin" / "sam"
    for arguments in (["build"], deploy_arguments((ROOT / "samconfig.toml").read_text())):
        code = subprocess.run(
            [sam, *arguments], cwd=ROOT, env={**os.environ, **added}, check=False
        ).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
