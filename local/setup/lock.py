"""Writes every lock file anew from its `.in` file: hashes, but no addresses of registries.

python -m local.setup.lock
"""

import subprocess
import sys
from pathlib import Path

from local.setup.paths import ROOT
from local.setup.python_environments import uv_program


def sources() -> list[Path]:
    """Return the `.in` files: of the environments and of the layers."""
    return [*sorted(ROOT.glob("requirements/*.in")), *sorted(ROOT.glob("layers/*/requirements.in"))]


def main() -> int:
    """Compile each; return the exit code."""
    for source in sources():
        print(f"  {source.relative_to(ROOT)}", flush=True)
        outcome = subprocess.run(
            [
                *(str(uv_program()), "pip", "compile", "--quiet", "--generate-hashes"),
                *("--python-version", "3.13", "--python-platform", "linux"),
                *("--no-emit-index-url", "--no-annotate", "--no-header"),
                *("--output-file", str(source.with_suffix(".txt")), str(source)),
            ],
            cwd=ROOT,
            check=False,
        )
        if outcome.returncode:
            sys.stderr.write(f"{source.name} could not be locked; uv says why above.\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
