"""Declared options, and those that counter-proposals add."""

import pytest

from domain.proposal import Option
from negotiation.rounds import declared_options, widen, widening


def limited(name="limited", action="approve", **arguments):
    return Option(name=name, action=action, arguments=arguments)


def test_every_action_is_an_option(subtask):
    assert declared_options(subtask) == tuple(Option(name=n, action=n) for n in ("approve", "decline"))


def test_an_allowed_counter_proposal_joins_once(subtask, vote):
    declared = declared_options(subtask)
    given = [vote(name, "approve", counter=limited(limit=500)) for name in ("ann", "bob")]
    wide = widen(subtask, declared, given)
    assert wide == (*declared, limited(limit=500))
    assert widen(subtask, wide, given) == wide


@pytest.mark.parametrize(
    ("counter", "why"),
    [
        (limited(action="burn", limit=1), "undeclared action 'burn'"),
        (limited(rate=1), "undeclared argument 'rate'"),
        (limited(action="decline", limit=1), "undeclared argument 'limit'"),
        (limited(), "without a name or arguments"),
        (limited(name=" ", limit=1), "without a name or arguments"),
        (limited(name="decline", limit=1), "takes the name of another option"),
        (limited(limit=float("nan")), "not plain JSON"),
        (limited(limit=object()), "not plain JSON"),
    ],
)
def test_what_is_not_allowed_is_refused_and_said(subtask, vote, counter, why):
    declared = declared_options(subtask)
    after = widening(subtask, declared, [vote("ann", "approve", counter=counter)])
    assert after.options == declared
    assert len(after.refused) == 1
    assert after.refused[0].startswith("ann: ")
    assert why in after.refused[0]


def test_two_under_one_name_are_both_refused(subtask, vote):
    declared = declared_options(subtask)
    given = [vote("ann", "approve", counter=limited(limit=1)), vote("bob", "approve", counter=limited(limit=2))]
    after = widening(subtask, declared, given)
    assert after.options == declared
    assert len(after.refused) == 2


def test_one_content_under_two_names_joins_once(subtask, vote):
    given = [
        vote("ann", "approve", counter=limited("z", limit=1)),
        vote("bob", "approve", counter=limited("y", limit=1)),
    ]
    after = widening(subtask, declared_options(subtask), given)
    assert [option.name for option in after.options] == ["approve", "decline", "y"]
    assert after.refused == ("ann: counter-proposal 'z' is the same as 'y'",)
