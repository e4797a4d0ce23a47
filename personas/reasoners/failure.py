"""A reasoner's failure that cost something."""

from domain.errors import ReasonerError
from domain.proposal import Telemetry


class CostlyFailure(ReasonerError):
    """The reasoner gave no usable proposal, and used tokens on the way."""

    def __init__(self, message: str, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        super().__init__(message)
