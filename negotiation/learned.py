"""What strategies use of a calibration, in the form they look it up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.calibration import Calibration, Certificate, Pool, PoolWeight


@dataclass(frozen=True, slots=True)
class Learned:
    """Reliabilities, the pool and the certified thresholds of one calibration."""

    version: int
    rates: Mapping[str, float]
    """Persona -> how often it is right, in (0, 1)."""
    mean_rate: float
    """For a persona that no resolved case knows."""
    pool: Pool | None = None
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    """By the strategy's rule with its parameters."""
    withdrawn: str | None = None
    """Why no certificate stands any more (an alarm, another panel); None where they do."""
    readable: bool = True
    """False: nothing of it can be used, and `withdrawn` says why."""
    debate_pays: bool | None = None
    """Whether rounds after the blind one put more right than wrong; None where too few cases say so."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Persona -> what its rate comes from, such as "71 of 100"."""

    def rate(self, persona: str) -> float:
        """How often the persona is right."""
        return self.rates.get(persona, self.mean_rate)

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {
            "version": self.version,
            "rates": dict(self.rates),
            "mean_rate": self.mean_rate,
            "pool": self.pool.model_dump(mode="json") if self.pool is not None else None,
            "certificates": {rule: item.model_dump(mode="json") for rule, item in self.certificates.items()},
            "withdrawn": self.withdrawn,
            "readable": self.readable,
            "debate_pays": self.debate_pays,
            "sources": dict(self.sources),
        }


def from_json(data: Mapping[str, Any]) -> Learned:
    """The reverse of `as_json`."""
    pool = Pool.model_validate(data["pool"]) if data["pool"] is not None else None
    certificates = {rule: Certificate.model_validate(item) for rule, item in data["certificates"].items()}
    return Learned(**{**data, "pool": pool, "certificates": certificates})


def learned_from(calibration: Calibration, withdrawn: str | None = None) -> Learned:
    """What strategies use of it. `withdrawn`: why its certificates do not stand."""
    return Learned(
        version=calibration.version,
        rates={item.persona: item.rate for item in calibration.reliabilities},
        mean_rate=calibration.mean_rate,
        pool=calibration.pool,
        certificates={item.strategy: item for item in calibration.certificates},
        withdrawn=withdrawn,
        debate_pays=calibration.debate.pays,
        sources={item.persona: f"{item.hits} of {item.cases}" for item in calibration.reliabilities},
    )


def pool_weight(learned: Learned, persona: str) -> PoolWeight:
    """The persona's weight in the pool. Raises ValueError where there is none."""
    if learned.pool is None:
        raise ValueError("the calibration has no pool")
    return learned.pool.weights.get(persona, learned.pool.stranger)
