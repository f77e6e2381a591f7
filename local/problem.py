"""What a person is told when the set-up or the local stack cannot go on."""


class Problem(Exception):
    """One plain sentence about what is wrong and, where it helps, how to mend it.

    Programs in `local/` print the sentence to standard error and end with exit code 1; a traceback means
    a defect of ours instead.
    """
