"""Tries a firm's own template before it is deployed: `python -m local.check_template FOLDER`.

Renders an invoice of every kind and language with it, as the function will: in the sandbox, with nothing in reach. Says why
the template cannot be used and ends with 1, or how many invoices it has rendered and ends with 0.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from billing.documents.firm_renderer import renderer_of
from billing.documents.template_override import FirmTemplate, TemplateRefused
from billing.documents.template_source import files_in
from billing.errors import RenderFailed, Unprocessable
from local.check_template.filled import check_filled
from local.check_template.samples import SAMPLE_LOGO, template_samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Of the processor, for each invoice; a second is usual for all of them.
SECONDS = 20.0


def try_template(files: Mapping[str, bytes], *, seconds: float = SECONDS) -> int:
    """Render every sample; return how many. Raises `TemplateRefused`."""
    template = FirmTemplate(files)
    renderer = renderer_of(template)
    samples = template_samples()
    before = signal.signal(signal.SIGPROF, _take_too_long)
    try:
        for kind, printed in samples.items():
            signal.setitimer(signal.ITIMER_PROF, seconds)
            try:
                check_filled(template.invoice_html(printed), printed)
                renderer.render_invoice(printed, SAMPLE_LOGO if printed.logo_sha256 else None)
            except Unprocessable as error:
                reason = error.for_staff if isinstance(error, RenderFailed) else error.detail
                message = f"{kind} cannot be rendered with it ({reason.removesuffix('.')})"
                raise TemplateRefused(message) from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return len(samples)


def _take_too_long(*_: object) -> None:
    message = "it takes too long"
    raise TimeoutError(message)


def main(arguments: Sequence[str]) -> int:
    """Check the folder that the command line names."""
    folder = Path(*arguments) if len(arguments) == 1 and arguments[0] else None
    if folder is None or not folder.is_dir():
        print("Name the folder of the template: make check-template FOLDER=...", file=sys.stderr)
        return 1
    try:
        rendered = try_template(files_in(folder))
    except TemplateRefused as refused:
        print(f"The template in {folder} cannot be used: {refused}.", file=sys.stderr)
        return 1
    print(f"The template in {folder} can be used: {rendered} invoices were rendered with it.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
