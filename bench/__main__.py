"""`make bench`: the benchmarks as tables of ratios, each measured side by side in one run on one machine."""

from bench import functions, render

if __name__ == "__main__":
    print(
        "Functions on the deployed local stack, each beside a request that is refused at the door:",
        flush=True,
    )
    functions.main()
    print("\nOne PDF, beside stock WeasyPrint on the same HTML:", flush=True)
    render.main()
