"""The error that the set-up or the local stack reports to a person."""


class Problem(Exception):
    """One sentence about what is wrong and, where it helps, how to fix it.

    Programs in `local/` print the sentence to standard error and end with exit code 1; a traceback means
    a defect of ours instead.
    """
