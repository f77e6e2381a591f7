"""Every call to the outside is a numbered step, before and after which a test may let something happen."""

from collections.abc import Callable
from dataclasses import dataclass, field


class Crash(BaseException):
    """The process dies here: no `except Exception` of ours survives it."""


type Happening = Callable[[], object]


@dataclass
class Steps:
    """Counts the calls to the outside; what a test ordered happens around the n-th, or the next of a name, once."""

    names: list[str] = field(default_factory=list)
    before: dict[int, Happening] = field(default_factory=dict)
    after: dict[int, Happening] = field(default_factory=dict)
    before_next: dict[str, Happening] = field(default_factory=dict)
    after_next: dict[str, Happening] = field(default_factory=dict)

    def begin(self, name: str) -> int:
        """A call is about to be made; it has not reached the other side."""
        number = len(self.names)
        self.names.append(name)
        if happening := self.before.pop(number, None) or self.before_next.pop(name, None):
            happening()
        return number

    def end(self, number: int) -> None:
        """The other side has acted; its answer is on the way."""
        name = self.names[number] if number < len(self.names) else ""  # a test may have begun to count anew
        if happening := self.after.pop(number, None) or self.after_next.pop(name, None):
            happening()

    def reset(self) -> None:
        """Count from zero again, with nothing ordered."""
        self.names.clear()
        self.before.clear()
        self.after.clear()
        self.before_next.clear()
        self.after_next.clear()


def crash() -> None:
    """Die."""
    raise Crash
