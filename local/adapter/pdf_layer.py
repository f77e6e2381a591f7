"""The PDF layer for the local stack: the one that goes to AWS where this machine can build it, else Python alone.

The layer's own builder keeps finished layers in the cache, so `sam build` afterwards only copies.
"""

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.setup.paths import CACHE

LAMBDA_NAMES: Final = {"x86_64": "x86_64", "aarch64": "arm64"}
"""This machine's name of its processor -> Lambda's: locally the functions run on it."""


@dataclass(frozen=True)
class PdfLayer:
    """`reason`: why the native libraries are left out; None if the layer is complete."""

    architecture: str
    reason: str | None = None

    @property
    def variables(self) -> dict[str, str]:
        """The parameters of `sam build` for it."""
        return {"LAYER_CACHE": str(CACHE / "layer"), "LAYER_NATIVE": "no" if self.reason else "yes"}

    @property
    def key(self) -> str:
        """Different for results that must not be taken for each other."""
        return f"{self.architecture}{'-python-only' if self.reason else ''}"


def prepare(root: Path) -> PdfLayer:
    """Build the layer of a checkout into the cache, unless it is there; returns the result and never raises."""
    architecture = LAMBDA_NAMES.get(platform.machine(), platform.machine())
    layer = PdfLayer(architecture)
    folder = root / "layers" / "weasyprint" / architecture
    if not folder.is_dir():
        return PdfLayer(architecture, reason=f"There is no PDF layer for {architecture}.")
    outcome = subprocess.run(
        ["make", "--silent", "--makefile", "../Makefile", "prepare"],
        cwd=folder,
        # The interpreter itself, as SAM wants it too: the checkout's own environment has no pip.
        env={**os.environ, **layer.variables, "PATH": f"{sys.base_prefix}/bin:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode == 0:
        return layer
    lines = [line for line in outcome.stderr.splitlines() if line and not line.startswith("make")]
    return PdfLayer(architecture, reason=(lines or ["its builder printed nothing."])[-1])
