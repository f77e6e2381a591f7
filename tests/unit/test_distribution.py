from tests.distribution import STACK, needed_by, next_unit, on_a_database, unit_of

FLOWS = "tests/integration/directus/test_flows.py"
BOOKS = "tests/integration/stripe_simulator/test_books.py"
COLLECTED = [
    f"{FLOWS}::test_a[sqlite]",
    f"{FLOWS}::test_a[usd-postgresql]",
    f"{FLOWS}::test_b",
    f"{BOOKS}::test_c[a-b]",
]
NOTHING: frozenset[str] = frozenset()


def test_a_file_is_kept_together_on_each_database_and_all_of_the_stack() -> None:
    files = on_a_database(COLLECTED)
    units = [unit_of(nodeid, files) for nodeid in COLLECTED]
    assert units == [f"{FLOWS} on sqlite", f"{FLOWS} on postgresql", f"{FLOWS} on sqlite", BOOKS]
    assert {unit_of(f"tests/e2e/test_{name}.py::test_d[sqlite]", files) for name in "xy"} == {STACK}


def test_a_unit_says_what_it_needs() -> None:
    assert [needed_by(unit) for unit in (STACK, f"{FLOWS} on sqlite", BOOKS)] == [STACK, "sqlite", None]


def test_the_stack_comes_first_and_then_another_process_starts_the_databases() -> None:
    waiting = [BOOKS, "a on sqlite", "a on postgresql", STACK]
    assert next_unit(waiting, NOTHING, NOTHING) == STACK
    assert next_unit(waiting[:3], NOTHING, frozenset({STACK})) == "a on postgresql"


def test_a_process_keeps_to_what_it_has_started() -> None:
    waiting = [BOOKS, "a on sqlite", "b on postgresql", "c on sqlite"]
    assert next_unit(waiting, frozenset({"sqlite"}), frozenset({STACK, "postgresql"})) == "a on sqlite"


def test_what_others_have_started_is_left_to_them_until_nothing_else_is_there() -> None:
    others = frozenset({"sqlite", "postgresql"})
    assert next_unit(["a on sqlite", BOOKS], frozenset({STACK}), others) == BOOKS
    assert next_unit(["a on sqlite", "b on sqlite"], frozenset({STACK}), others) == "a on sqlite"
