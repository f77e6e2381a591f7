"""`make bench`: the benchmarks as tables; `python -m bench <part> ...` runs some of them.

    own      receiver and worker by themselves, cold and warm, upstream waits left out
    stack    functions on the deployed local stack, each beside a request that is refused at the door
    burst    payments of every kind, their events shuffled, doubled and lost (BILLING_BENCH_PAYMENTS, default 60);
             then events per second, and what 1,000 such payments cost at AWS
    questions  what the guard's closing of questions costs at 20,000 invoices
    render   invoices of 10 to 5,000 lines beside stock WeasyPrint, Chromium, Typst and ReportLab

Exit code 1 if the burst lost or doubled anything.
"""

import os
import sys
import tempfile
from pathlib import Path

from bench import bill, burst, functions, own_time, questions, render, throughput
from bench.books import audit
from local.demo.steps import Firm
from local.stack import Stack

PARTS = ("own", "stack", "burst", "questions", "render")
ON_THE_STACK = {"stack", "burst"}


def main(asked: list[str]) -> int:
    """Run the parts asked for, in order; all without arguments."""
    if unknown := sorted(set(asked) - set(PARTS)):
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    wanted = [part for part in PARTS if part in asked or not asked]
    succeeded = True
    if "own" in wanted:
        own_time.main()
    if set(wanted) & ON_THE_STACK:
        succeeded = on_the_stack(wanted)
    if "questions" in wanted:
        questions.main()
    if "render" in wanted:
        print("\nDocuments, beside other engines:", flush=True)
        render.main()
    return 0 if succeeded else 1


def on_the_stack(wanted: list[str]) -> bool:
    """Run what needs a stack on one of its own, in `BILLING_TEST_DIRECTORY` if a script names one to clean up."""
    with tempfile.TemporaryDirectory(prefix="directus-legal-billing-bench.") as temporary:
        stack = Stack(Path(os.environ.get("BILLING_TEST_DIRECTORY", temporary)) / "stack")
        try:
            stack.up(fresh=True)
            if "stack" in wanted:
                functions.main(Firm(stack.description()))
            return storm(stack) if "burst" in wanted else True
        finally:
            stack.discard()


def storm(stack: Stack) -> bool:
    """The burst and what can be learnt from it; whether nothing was lost or doubled, at the very end as well."""
    figures = burst.run(stack, burst.payments_wanted())
    firm = figures.traffic.firm
    throughput.main(stack, firm, figures.delivered.bodies)
    bill.main(firm, figures.payments, since=figures.span[0], until=figures.span[1])
    return figures.succeeded and audit(figures.traffic).all_is_well


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
