"""Ask every question twice: while the hidden rows have what it asks for, and while they do not."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from directus.rest import Directus
from tests.security.directus.questions.forms import FORMS, OF_A_PATH, OF_SQL, WITHOUT_A_FIELD, Chain, Request
from tests.security.directus.questions.graph import Edge
from tests.security.directus.questions.hidden import Hiding

type Answer = tuple[int, str]


@dataclass(frozen=True)
class Question:
    """A form of question about the rows that a chain of edges leads to."""

    form: str
    chain: Chain
    request: Request

    def __str__(self) -> str:
        edges = " / ".join(map(str, self.chain.edges))
        return (
            f"{self.form}: {edges}: {self.request.method} {self.request.path} {json.dumps(self.request.body)}"
        )


@dataclass
class Asked:
    """What was asked, and which answers revealed hidden rows."""

    questions: int = 0
    edges: set[Edge] = field(default_factory=set)
    forms: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def ask(hiding: Hiding, questions: Iterable[Question]) -> Asked:
    """Ask them all in both states, and compare."""
    listed = list(questions)
    answers: dict[bool, list[Answer]] = {}
    for present in (False, True):
        hiding.show(present=present)
        answers[present] = [answer(hiding.person, question.request) for question in listed]
    asked = Asked(questions=len(listed))
    for question, without, having in zip(listed, answers[False], answers[True], strict=True):
        asked.edges.update(question.chain.edges)
        asked.forms[question.form] += 1
        asked.statuses[without[0]] += 1
        if without != having:
            asked.leaks.append(f"{question}\n    without: {without}\n    with: {having}")
        if having[0] >= HTTPStatus.INTERNAL_SERVER_ERROR:
            asked.broken.append(f"{question}: {having}")
    return asked


def answer(person: Directus, request: Request) -> Answer:
    """The answer in a form that can be compared: status and body, without an order if there is none."""
    status, body = person.answer(request.method, request.path, request.body)
    if request.is_unordered and isinstance(body, dict) and isinstance(body.get("data"), list):
        body["data"] = sorted(body["data"], key=lambda row: json.dumps(row, sort_keys=True, default=str))
    return status, json.dumps(body, sort_keys=True, default=str)


def questions_of(hiding: Hiding, *, whole: bool = True, in_turns: int = 1) -> Iterator[Question]:
    """Every edge: in every form where it leads to a hidden row, alone and behind one step that hides nothing; once elsewhere.

    `in_turns` of 3: of the questions behind a step every third is asked, and the first of each form. Not `whole`: only the
    forms in which SQL differs, and each edge alone.
    """
    behind: list[Question] = []
    for edge in hiding.edges:
        alone = Chain((edge,), hiding.collections)
        start = hiding.start_of.get(edge)
        if start is None:
            yield from _in_forms(alone, ["filter"])
            continue
        forms = FORMS if hiding.collections[edge.target].is_readable else WITHOUT_A_FIELD
        if not whole:
            yield from _in_forms(alone, [form for form in forms if form in OF_SQL])
            continue
        yield from _in_forms(alone, forms)
        before = _step_before(hiding, edge, start)
        if before is not None:
            chain = Chain((before, edge), hiding.collections)
            behind += _in_forms(chain, [form for form in forms if form in OF_A_PATH])
    first = {question.form: question for question in reversed(behind)}
    for number, question in enumerate(behind):
        if number % in_turns == 0 or question is first[question.form]:
            yield question


def sampled(hiding: Hiding, number: int, seed: int) -> Iterator[Question]:
    """Chains of two to four edges chosen at random, from any collection that the person reads, in forms chosen at random."""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    leaving: dict[str, list[Edge]] = {}
    for edge in hiding.edges:
        leaving.setdefault(edge.source, []).append(edge)
    roots = [one.name for one in hiding.collections.values() if one.keys and one.name in leaving]
    made = 0
    while roots and made < number:
        chain: list[Edge] = []
        at = chance.choice(roots)
        for _ in range(chance.randint(2, 4)):
            if at not in leaving:
                break
            chain.append(chance.choice(leaving[at]))
            at = chain[-1].target
        if len(chain) < 2:
            continue
        for question in _in_forms(Chain(tuple(chain), hiding.collections), [chance.choice(list(FORMS))]):
            made += 1
            yield question


def _in_forms(chain: Chain, forms: Iterable[str]) -> Iterator[Question]:
    for form in forms:
        request = FORMS[form](chain)
        if request is not None:
            yield Question(form, chain, request)


def _step_before(hiding: Hiding, edge: Edge, start: str) -> Edge | None:
    """An edge, written in the model, by which the person comes to the visible row from which `edge` leads on."""
    source = hiding.collections[edge.source]
    for before in hiding.edges:
        origin = hiding.collections[before.source]
        if (
            before.target != edge.source
            or before.is_written_out
            or before.source == edge.target
            or not origin.keys
        ):
            continue
        reached: dict[str, Any] = {before.name: {source.primary: {"_eq": start}}}
        found = answer(hiding.person, Chain((before,), hiding.collections).get(filter=reached))
        if found[0] == HTTPStatus.OK and json.loads(found[1])["data"]:
            return before
    return None
