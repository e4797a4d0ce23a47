"""Plurality: one vote each, most votes win."""

from negotiation.strategy import NoParameters, OneVoteEach


class Plurality(OneVoteEach):
    """s_x = number of votes for x."""

    Parameters = NoParameters

    def least_share(self, parameters: NoParameters) -> float:
        """No share is asked for."""
        return 0.0

    def rule(self, parameters: NoParameters) -> str:
        """The rule's name."""
        return "plurality"
