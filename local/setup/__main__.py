"""Prepare this machine for the checks, the tests and the local stack; everything costly is kept and reused.

    python3.13 -m local.setup [check | stack | tests | bench]

`check`: what `make check` needs. `stack`: what `make up` and `make demo` need. `tests`: what the tests need besides.
`bench`: `stack`, and what `make bench` alone compares with.
Directus takes longest, so it is built while the Python environments are made; the system packages come before it,
because its native modules may need the compiler.
Standard library only.
"""

import argparse
import fcntl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Final

from local.adapter.build import built
from local.problem import Problem
from local.setup.commands import run, stop_all
from local.setup.node import install_directus, install_node
from local.setup.paths import CACHE, DEVELOPMENT, ROOT, directus_tree
from local.setup.progress import Progress
from local.setup.python_environments import install_environment
from local.setup.system_packages import BENCH, COMPILERS, STACK, TESTS, SystemPackage, install_system_packages
from local.stripe_simulator.specification import document_path

type Step = Callable[[Progress], None]


class AfterPackages:
    """A place in a chain of steps: here the system packages must be there."""


AFTER_PACKAGES: Final = AfterPackages()

ENVIRONMENTS: Final = {
    "check": ("dev", "sam"),
    "stack": ("dev", "sam", "ministack", "lambda_runtime"),
    "tests": ("dev", "sam", "ministack", "lambda_runtime"),
    "bench": ("dev", "sam", "ministack", "lambda_runtime", "bench"),
}
BESIDE_THE_STACK: Final = {"tests": TESTS, "bench": BENCH}


def main(arguments: list[str]) -> int:
    """Run the set-up; return the exit code."""
    parser = argparse.ArgumentParser(prog="local.setup", description=__doc__)
    parser.add_argument("purpose", choices=sorted(ENVIRONMENTS), default="tests", nargs="?")
    purpose: str = parser.parse_args(arguments).purpose
    progress = Progress()
    began = time.monotonic()
    progress.say(f"Set-up for {purpose}: what was made before in {CACHE} is used again.")
    try:
        _refuse_elsewhere()
        with _alone(progress):
            _install(purpose, progress)
    except Problem as problem:
        sys.stderr.write(f"Set-up: {problem}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Set-up: stopped; run it again, it goes on where it was.\n")
        return 130
    finally:
        progress.close()
    progress.say(f"Set-up ready after {time.monotonic() - began:.1f} s.")
    return 0


def _refuse_elsewhere() -> None:
    if not sys.platform.startswith("linux"):
        raise Problem("The local stack runs on Linux; elsewhere use a Linux machine or container.")


def _install(purpose: str, progress: Progress) -> None:
    environments = [_environment_step(name) for name in ENVIRONMENTS[purpose]]
    if purpose == "check":
        install_side_by_side([*environments], progress=progress)
        return
    packages = wanted_packages(purpose, directus_is_built=directus_tree().exists())
    install_side_by_side(
        [install_node, AFTER_PACKAGES, install_directus],
        [*environments, fetch_stripe_document, AFTER_PACKAGES, build_functions],
        packages=lambda progress: install_system_packages(packages, progress),
        progress=progress,
    )


def wanted_packages(purpose: str, *, directus_is_built: bool) -> list[SystemPackage]:
    """Return the system packages for a purpose of `ENVIRONMENTS`; compilers only while Directus is to be built."""
    if purpose == "check":
        return []
    return [*STACK, *BESIDE_THE_STACK.get(purpose, ()), *(() if directus_is_built else COMPILERS)]


def install_side_by_side(
    *chains: Sequence[Step | AfterPackages], packages: Step | None = None, progress: Progress
) -> None:
    """Run the chains of steps beside one another and beside `packages`, each chain in its order.

    Where a chain says `AFTER_PACKAGES` it goes on only when `packages` is done. The first failure stops all.
    """
    with ThreadPoolExecutor(max_workers=len(chains) + 1) as threads:
        system = threads.submit(packages or _nothing, progress)
        running = [system, *(threads.submit(_in_order, chain, system, progress) for chain in chains)]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
            for future in running:
                if future.done():
                    future.result()
        except BaseException:
            stop_all()  # leaving the block waits for all threads
            raise
        for future in running:
            future.result()


def fetch_stripe_document(progress: Progress) -> None:
    """Bring Stripe's OpenAPI document into the cache, unless it is there."""
    if document_path().exists():
        return
    with progress.step("Stripe's OpenAPI document"):
        run(
            [DEVELOPMENT / "bin/python", "-m", "local.stripe_simulator.specification"],
            cwd=ROOT,
            log="stripe-document",
            sentence="Stripe's OpenAPI document could not be fetched.",
        )


def build_functions(progress: Progress) -> None:
    """Build the functions while Directus is still compiled; otherwise the start of the stack does it."""
    if not directus_tree().exists():
        with progress.step("sam build"):
            built(ROOT, progress.say)


def _environment_step(name: str) -> Step:
    return lambda progress: install_environment(name, progress)


def _in_order(steps: Sequence[Step | AfterPackages], packages: Future[None], progress: Progress) -> None:
    for step in steps:
        if isinstance(step, AfterPackages):
            packages.result()
        else:
            step(progress)


def _nothing(progress: Progress) -> None:
    del progress


@contextmanager
def _alone(progress: Progress) -> Iterator[None]:
    """Hold the cache's lock, so that two set-ups of two checkouts do not build the same thing twice."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("waiting for another set-up on this machine"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
