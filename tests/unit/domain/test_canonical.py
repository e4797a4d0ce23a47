"""One byte form for a value: what is equal has one digest, what is not plain has none."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import canonical_json, digest

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _turned(value):
    """The same value with every mapping's keys put in the other way round."""
    if isinstance(value, dict):
        return {key: _turned(value[key]) for key in reversed(value)}
    return [_turned(one) for one in value] if isinstance(value, list) else value


@given(_PLAIN)
def test_the_order_of_keys_does_not_matter(value):
    assert canonical_json(_turned(value)) == canonical_json(value)


def test_the_form():
    assert canonical_json({"b": [1, 1.5, None, True], "a": "ä"}) == '{"a":"ä","b":[1,1.5,null,true]}'
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, "1"), ([], {}), (None, "null"), ([1, [2]], [[1], 2])])
def test_different_values_have_different_digests(one, other):
    assert digest(one) != digest(other)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, {"a": [math.nan]}])
def test_numbers_that_are_none(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), {"a": {3}}])
def test_values_that_are_not_plain(value):
    with pytest.raises(TypeError):
        digest(value)
