from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from local.stripe_simulator.form_encoding import FormError, coerce, parse

SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer"},
        "rate": {"type": "number"},
        "on": {"type": "boolean"},
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"quantity": {"type": "integer"}}},
        },
        "metadata": {
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": "string"}},
                {"enum": [""], "type": "string"},
            ]
        },
        "created": {
            "anyOf": [{"type": "object", "properties": {"gte": {"type": "integer"}}}, {"type": "integer"}]
        },
        "expand": {"type": "array", "items": {"type": "string"}},
    },
}


def read(text: str) -> Any:
    return coerce(parse(text), SCHEMA)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("amount=42&rate=1.5&on=true", {"amount": 42, "rate": 1.5, "on": True}),
        ("amount=4x&on=yes", {"amount": "4x", "on": "yes"}),
        ("items[1][quantity]=2&items[0][quantity]=1", {"items": [{"quantity": 1}, {"quantity": 2}]}),
        ("expand[]=a&expand[]=b", {"expand": ["a", "b"]}),
        ("metadata[0]=a&metadata[1]=b", {"metadata": {"0": "a", "1": "b"}}),  # a metadata key may be a number
        ("metadata[amount]=42", {"metadata": {"amount": "42"}}),
        ("metadata=", {"metadata": ""}),
        ("created=5", {"created": 5}),
        ("created[gte]=5", {"created": {"gte": 5}}),
        ("unknown[a]=1", {"unknown": {"a": "1"}}),
    ],
)
def test_a_form_is_read_as_its_schema_says(text: str, values: Any) -> None:
    assert read(text) == values


@pytest.mark.parametrize(
    "text", ["a", "a=1&a=2", "a=1&a[b]=1", "a[b]=1&a=1", "a[=1", "a]=1", "[a]=1", "=1", "a=%ff", "[" * 50 + "=1", "a[b][c][d][e][f][g][h][i]=1"]
)  # fmt: skip
def test_what_is_no_form_is_refused(text: str) -> None:
    with pytest.raises(FormError):
        parse(text)


@given(
    amount=st.integers(-(10**17), 10**17),
    metadata=st.dictionaries(
        st.text(min_size=1).filter(lambda key: not set(key) & set("[]")), st.text(), min_size=1
    ),
    quantities=st.lists(st.integers(0, 10**6), min_size=1, max_size=20),
)
def test_what_the_sdk_writes_is_read_back(
    amount: int, metadata: dict[str, str], quantities: list[int]
) -> None:
    sent = {
        "amount": amount,
        "metadata": metadata,
        "items": [{"quantity": quantity} for quantity in quantities],
    }
    assert read(urlencode(list(_api_encode(sent)))) == sent


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(parse(text), dict)
    except FormError as error:
        assert str(error)  # noqa: PT017 - either outcome is right; nothing else may be raised
