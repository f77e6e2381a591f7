"""`make deploy`: builds and deploys to AWS, once the PDF layer can run there.

python -m local.deploy_to_aws
"""

import os
import subprocess
import sys
from typing import Final

from local.adapter.build import sam_environment
from local.problem import Problem
from local.setup.paths import ROOT, python_environment

NATIVE_LIBRARIES: Final = ROOT / "layers" / "weasyprint" / "native"
"""Holds the recipe that brings pango and fonts into the layer; comes with the PDF issue."""

EMULATOR_ONLY: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


def refuse_without_native_libraries() -> None:
    """Raise `Problem` while WeasyPrint would not find its libraries in Lambda."""
    if not NATIVE_LIBRARIES.exists():
        raise Problem(
            "Not deployed: the WeasyPrint layer has no native libraries yet"
            f" ({NATIVE_LIBRARIES.relative_to(ROOT)} is missing), so invoices could not be rendered in AWS."
        )


def main() -> int:
    """Build and deploy; return the exit code."""
    try:
        refuse_without_native_libraries()
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    added = {name: value for name, value in sam_environment().items() if name not in EMULATOR_ONLY}
    sam = python_environment("sam") / "bin" / "sam"
    for arguments in (["build"], ["deploy"]):
        code = subprocess.run(
            [sam, *arguments], cwd=ROOT, env={**os.environ, **added}, check=False
        ).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
