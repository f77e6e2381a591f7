"""Several callers that begin at the same moment, and orders that nobody would choose."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


def at_once[Result](actions: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run every action in a thread of its own, all released together; their results in order."""
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], Result]) -> Result:
        start.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(run, actions))


def shuffled[Item](items: Sequence[Item], seed: int) -> list[Item]:
    """Return the items in an order that is the same in every run."""
    return random.Random(seed).sample(items, len(items))  # noqa: S311  # an order, not a secret
