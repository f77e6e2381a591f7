"""This project's renderer as production runs it: warm, and a copy of the process for each document."""

from __future__ import annotations

import os
import resource

from bench.documents.ours import Ours


class Limited(Ours):
    """`LimitedRenderer` around a renderer that Lambda's init has warmed."""

    def prepare(self) -> None:
        """As the render worker's init: everything imported, one document drawn that nobody sees."""
        from billing.documents.pdf.limited_renderer import LimitedRenderer, limits_in  # noqa: PLC0415  # after the import that is timed
        from billing.documents.pdf.warm_start import render_once  # noqa: PLC0415  # same

        super().prepare()
        render_once(self.renderer)
        self.renderer = LimitedRenderer(self.renderer, limits_in(os.environ))
        self.renderer.begins(seconds=900, attempt=1)

    def peak_bytes(self) -> int:
        """Of the largest child: what it shares with this process counts."""
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def engine() -> Limited:
    """For `bench.documents.worker`."""
    return Limited()
