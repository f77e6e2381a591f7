"""One PDF, timed: our renderer beside stock WeasyPrint drawing the same HTML, in one run on one machine.

Prints a table of medians and their ratio to stock. Each cold figure is a fresh process; warm figures come from the
same process, interleaved, as CPU time, so that a neighbour on the machine disturbs both alike.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
COLD_ROUNDS = 3
WARM_ROUNDS = {10: 7, 150: 3}
OURS, STOCK = "ours", "stock"


def main() -> None:
    sys.path[:0] = [str(ROOT / "layers/billing"), str(ROOT)]
    cold = {kind: [in_a_fresh_process(kind) for _ in range(COLD_ROUNDS)] for kind in (STOCK, OURS)}
    print(f"{'':34}{'ours':>10}{'stock':>10}{'ratio':>8}")
    for name, unit in (("import", "s"), ("first render", "s"), ("memory", "MB")):
        row(
            f"cold {name}, 10 lines",
            unit,
            *(statistics.median(run[name] for run in cold[kind]) for kind in (OURS, STOCK)),
        )
    for lines, rounds in WARM_ROUNDS.items():
        ours, stock, size = warm(lines, rounds)
        row(f"warm CPU, {lines} lines", "s", ours, stock)
        print(f"{f'size, {lines} lines':34}{size / 1000:>8.0f} kB")


def row(name: str, unit: str, ours: float, stock: float) -> None:
    print(f"{name:34}{ours:>8.2f} {unit:2}{stock:>7.2f} {unit:2}{ours / stock:>7.2f}")


def in_a_fresh_process(kind: str) -> dict[str, float]:
    """Import and first render of ten lines: seconds of wall time, and the peak of memory in MB."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, kind],
        env={"PYTHONPATH": f"{ROOT / 'layers/billing'}:{ROOT}", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    measured: dict[str, float] = json.loads(run.stdout)
    return measured


def cold_run(kind: str) -> None:
    draw_stock, draw_ours = drawers(10)
    start = time.perf_counter()
    if kind == OURS:
        from billing.adapters.weasyprint_start import import_weasyprint  # noqa: PLC0415  # the import is what is timed

        import_weasyprint()
    else:
        import weasyprint  # noqa: F401, PLC0415  # the import is what is timed
    imported = time.perf_counter()
    (draw_ours if kind == OURS else draw_stock)()
    rendered = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"import": imported - start, "first render": rendered - imported, "memory": peak}))


def warm(lines: int, rounds: int) -> tuple[float, float, int]:
    """Median CPU seconds of ours and of stock, and the size of ours in bytes."""
    draw_stock, draw_ours = drawers(lines)
    size = len(draw_ours())
    draw_stock()
    taken: dict[str, list[float]] = {OURS: [], STOCK: []}
    for _ in range(rounds):
        for kind, draw in ((OURS, draw_ours), (STOCK, draw_stock)):
            start = time.process_time()
            draw()
            taken[kind].append(time.process_time() - start)
    return statistics.median(taken[OURS]), statistics.median(taken[STOCK]), size


def drawers(lines: int) -> tuple[Callable[[], bytes], Callable[[], bytes]]:
    """The same invoice drawn by stock WeasyPrint from our HTML and style, and by our renderer."""
    from billing.adapters.document_template import DocumentTemplate  # noqa: PLC0415  # after the clock's own start
    from billing.adapters.pdf_renderer import WeasyPrintRenderer  # noqa: PLC0415  # same
    from tests.integration.render_pdf.sample_invoices import long  # noqa: PLC0415  # same

    template = DocumentTemplate()
    printed = long(lines)
    renderer = WeasyPrintRenderer(template)

    def stock() -> bytes:
        import weasyprint  # noqa: PLC0415  # the cold run times its import

        html = weasyprint.HTML(string=template.invoice_html(printed))
        style = weasyprint.CSS(string=template.style)
        return bytes(html.write_pdf(stylesheets=[style], pdf_variant="pdf/a-3b", pdf_tags=True))

    return stock, lambda: renderer.render_invoice(printed, None).content


if __name__ == "__main__":
    if len(sys.argv) > 1:
        cold_run(sys.argv[1])
    else:
        main()
