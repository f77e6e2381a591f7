"""No query reveals a hidden row: neither by the number of rows, nor by their order, nor by a sum.

Directus 11.17.4 checks along a filter which fields may be read, never which rows (directus#15437). The questions are made
from the model of the running Directus (`questions/`), each is asked while the hidden rows have what it asks for and while
they do not, and the answers must be the same.
"""

import os
from dataclasses import replace

import pytest

from tests.integration.directus.server import another
from tests.security.directus.questions.asking import Asked, ask, questions_of, sampled
from tests.security.directus.questions.forms import FORMS
from tests.security.directus.questions.hidden import hiding
from tests.security.directus.world import World

#: One user of each role, and one without a login.
PEOPLE = ("maria", "sofia", "ingrid", "nobody")
#: Random questions over all of them; every edge of the model is asked besides.
SAMPLE = int(os.environ.get("BILLING_SOAK_QUESTIONS", "2000"))
SEED = 20261130
#: The forms through which stock Directus reveals hidden rows at least; a form that is missing asks nothing.
TELLING = {
    "filter",
    "filter by SEARCH",
    "only the number",
    "exported",
    "negated",
    "or",
    "aggregate",
    "GraphQL",
}


@pytest.mark.parametrize("person", PEOPLE)
def test_no_question_tells_of_hidden_rows(
    world: World, person: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing of the guard is of a database; on the second one everything is asked in the soak.
    soak = "BILLING_SOAK" in os.environ
    whole = world.directus.database == "sqlite" or soak
    with hiding(world, person) as hidden:
        sample = sampled(hidden, SAMPLE // len(PEOPLE) // (1 if whole else 5), SEED)
        asked = ask(hidden, [*questions_of(hidden, whole=whole, in_turns=1 if soak else 3), *sample])
    with capsys.disabled():
        print(f"\n{world.directus.database}, {person}: {summary(asked)}")  # noqa: T201 - the size of the proof
    assert asked.leaks == []
    assert asked.broken == [], "a question is answered or refused, it does not fail"
    assert asked.edges == set(hidden.edges), "an edge of the model was never asked"
    if whole and person in {"maria", "sofia"}:
        assert set(asked.forms) == set(FORMS), "a form was never asked"


def test_the_same_questions_tell_without_the_guard(world: World) -> None:
    """The proof can fail: a Directus without the guard on the same rows reveals them through each of these forms."""
    if world.directus.database != "sqlite":
        return
    with (
        another(
            world.directus, {"EXTENSIONS_PATH": str(world.directus.directory / "no-extensions")}
        ) as stock,
        hiding(world, "maria") as hidden,
    ):
        unguarded = replace(hidden, person=stock.as_("maria"))
        alone = (one for one in questions_of(hidden) if one.form in TELLING and len(one.chain.edges) == 1)
        asked = ask(unguarded, alone)
    assert {leak.partition(":")[0] for leak in asked.leaks} == TELLING


def summary(asked: Asked) -> str:
    """What was asked, in a line."""
    answers = ", ".join(f"{number} of {status}" for status, number in sorted(asked.statuses.items()))
    return (
        f"{asked.questions} questions in {len(asked.forms)} forms over {len(asked.edges)} edges ({answers})"
    )
