"""Which strategy holds which property: True is a test, a text is the reason why it does not hold."""

PROPERTIES = {
    "order": "the order of proposals and personas leaves no trace, bit for bit",
    "anonymity": "who cast a vote does not matter, confidences staying where they are",
    "neutrality": "renaming the options renames the result",
    "unanimity": "the option that all vote for is decided",
    "full margin": "a unanimous panel's margin is 1",
    "confidence": "a supporter's higher confidence never unseats the leader nor shrinks its margin",
    "support": "moving a vote to the winner never unseats it",
    "support margin": "moving a vote to the winner never shrinks its margin",
    "abstention": "an abstention changes no option's standing",
    "bounded": "margins, scores and posteriors are in [0, 1], tallies within the votes' weights",
    "not negative": "no option's tally is below 0",
    "bad confidence": "a vote with NaN or a confidence out of range is rejected",
    "duplicates": "two votes of one persona are both rejected",
    "quorum": "the quorum is exact, and one more vote never loses it",
    "veto": "a veto changes no score and blocks only what would have won",
    "equal records": "where all personas are alike, it leads as plurality does",
    "recomputed": "the result comes back from its explanation",
    "round limit": "no round follows the last one",
}

_WHO = "each persona's vote has a weight of its own"
_SPREAD = "what the first option does not get goes to the others, so that no margin reaches 1"
_NEGATIVE = "a vote of negative weight counts against its option"
_ORDERS = "it reads whole rankings, plurality their first places only"
_ALL = dict.fromkeys(PROPERTIES, True)

HOLDS: dict[str, dict[str, bool | str]] = {
    "plurality": {**_ALL},
    "majority": {**_ALL},
    "supermajority": {**_ALL},
    "unanimity": {**_ALL},
    "consensus": {**_ALL},
    "confidence_weighted": {
        **_ALL,
        "anonymity": "a vote weighs what its persona states, which does not go with the option",
        "equal records": "stated confidences differ where records do not",
    },
    "log_odds": {
        **_ALL,
        "anonymity": _WHO,
        "full margin": "it states a posterior, which is 1 for no record",
    },
    "calibrated_pool": {
        # "confidence" holds where no persona's slope g + u is negative.
        **_ALL,
        "anonymity": _WHO,
        "full margin": "it states a posterior, which is 1 for no weight",
        "support": _NEGATIVE,
        "support margin": _NEGATIVE,
        "not negative": _NEGATIVE,
        "equal records": "stated confidences differ where records do not",
    },
    "borda": {
        **_ALL,
        "full margin": _SPREAD,
        "equal records": _ORDERS,
    },
    "schulze": {
        **_ALL,
        "support margin": "a path is as strong as its weakest link, which a further vote need not touch",
        "equal records": _ORDERS,
    },
    "lead_decides": {
        **_ALL,
        "anonymity": "the lead is a persona",
        "equal records": "the lead may stand alone",
    },
}


def holding(name: str) -> list[str]:
    """The strategies that hold the property."""
    return [strategy for strategy, row in HOLDS.items() if row[name] is True]


def failing() -> set[tuple[str, str]]:
    """(strategy, property) of every cell that does not hold."""
    return {(strategy, name) for strategy, row in HOLDS.items() for name, cell in row.items() if cell is not True}
