from dataclasses import dataclass

import pytest

from billing.documents.text import breakable, with_breakable_words

BREAK = "\u200b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 200,
        " ".join(["x" * 200] * 50),
        "\n".join(["x" * 200] * 50),
        "漢" * 5_000,
        ("x" * 150 + "漢") * 20,
        BREAK.join(["x" * 200] * 3),
    ],
)
def test_words_that_are_no_longer_than_words_are_stay_as_they_are(text: str) -> None:
    assert breakable(text) == text


@pytest.mark.parametrize("length", [201, 250, 300, 301, 40_000])
def test_a_longer_word_is_broken_after_each_twenty_letters(length: int) -> None:
    parts = breakable("x" * length).split(BREAK)
    assert {len(part) for part in parts[:-1]} == {20}
    assert 0 < len(parts[-1]) <= 20
    assert "".join(parts) == "x" * length


def test_only_the_long_word_of_a_text_is_broken() -> None:
    text = f"before\u00a0{'x' * 193} 漢{'y' * 201}漢 after"
    broken = BREAK.join(["y" * 20] * 10 + ["y"])
    assert breakable(text) == f"before\u00a0{'x' * 193} 漢{broken}漢 after"


@pytest.mark.parametrize("belonging", ["\u0301", "\u200d\u0915", "\ufe0f", "\u0301\u0301\u0301", "\u0903"])
def test_nothing_is_taken_from_the_letter_that_it_belongs_to(belonging: str) -> None:
    text = "x" * 40 + belonging + "x" * 200
    assert breakable(text).split(BREAK)[:2] == ["x" * 20, "x" * 20 + belonging]


def test_a_letter_with_marks_without_end_is_broken_all_the_same() -> None:
    parts = breakable("x" + "\u0301" * 1_000).split(BREAK)
    assert max(map(len, parts)) == 40
    assert "".join(parts) == "x" + "\u0301" * 1_000


@dataclass(frozen=True)
class Part:
    text: str
    number: int = 7


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    portal_url: str
    first: Part | None = None


def test_every_text_of_a_document_is_made_breakable_but_no_address() -> None:
    long = "x" * 201
    broken = breakable(long)
    whole = Whole((Part(long), Part("y")), long, Part(long))
    assert with_breakable_words(whole) == Whole((Part(broken), Part("y")), long, Part(broken))
    plain = Whole((Part("x"),), long)
    assert with_breakable_words(plain) is plain
