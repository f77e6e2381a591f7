"""`make bench`: the benchmarks as tables; `python -m bench <part> ...` runs some of them.

    own      what each function costs by itself, cold and warm, upstream waits left out
    burst    payments of every kind, their events shuffled, doubled and lost (BILLING_BENCH_PAYMENTS, default 60)
    questions  what the guard's closing of questions costs at 20,000 invoices
    render   an invoice by our renderer, stock WeasyPrint, Chromium and Typst

Exit code 1 if the burst lost or doubled anything.
"""

import os
import sys
import tempfile
from pathlib import Path

from bench import burst, own_time, questions, render
from local.stack import Stack

PARTS = ("own", "burst", "questions", "render")


def main(asked: list[str]) -> int:
    """Run the parts asked for, in order; all without arguments."""
    if unknown := sorted(set(asked) - set(PARTS)):
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    wanted = [part for part in PARTS if part in asked or not asked]
    succeeded = True
    if "own" in wanted:
        own_time.main()
    if "burst" in wanted:
        succeeded = storm()
    if "questions" in wanted:
        questions.main()
    if "render" in wanted:
        render.main()
    return 0 if succeeded else 1


def storm() -> bool:
    """The burst on a stack of its own, in `BILLING_TEST_DIRECTORY` if a script names one to clean up."""
    with tempfile.TemporaryDirectory(prefix="directus-legal-billing-bench.") as temporary:
        stack = Stack(Path(os.environ.get("BILLING_TEST_DIRECTORY", temporary)) / "stack")
        try:
            stack.up(fresh=True)
            return burst.run(stack, burst.payments_wanted())
        finally:
            stack.discard()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
