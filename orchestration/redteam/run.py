"""One run of the red team: texts, scenarios, and how both compare with the baseline."""

import hashlib
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from catalog.load import Catalog, load_catalog
from domain.errors import NotFound
from domain.model import Frozen
from domain.settings import ROOT
from guardrails.redteam.baseline import SHIPPED, Baseline, load_baseline, made_from, regressions
from guardrails.redteam.corpus import read_corpus, shipped_files
from guardrails.redteam.scenarios import PILOT, PILOTS, harmless, injected
from orchestration.redteam.desk import Desk, open_desk
from orchestration.redteam.gullible import World
from orchestration.redteam.proof import Went, instructions, run_all
from orchestration.redteam.report import Corpus, Report, ScenarioFigures, count
from orchestration.redteam.scratch import scratch_database
from orchestration.redteam.texts import SourceFigures, judge_texts
from orchestration.redteam.tricks import Tricked, play_all
from storage.repositories import redteam_runs
from tasks.executors import EXECUTORS

Tell = Callable[[str], None]


class Texts(Frozen):
    """What became of the texts."""

    policy_hash: str
    corpora: tuple[Corpus, ...]
    sources: tuple[SourceFigures, ...]


class Played(Frozen):
    """What became of the scenarios."""

    tricks: tuple[Tricked, ...]
    scenarios: ScenarioFigures
    went: tuple[Went, ...]


def catalog_for(task_type: str, pilots: Path) -> Catalog:
    """The catalog that has the task type: the red team's own pilot lies in one by itself. Raises CatalogError."""
    return load_catalog(PILOTS if task_type == PILOT else pilots, EXECUTORS)


async def texts(task_type: str, pilots: Path, files: Sequence[Path]) -> Texts:
    """The files' texts, or our own without any, through the type's gate. Raises CaseFileError, CatalogError."""
    catalog = catalog_for(task_type, pilots)
    kind, gate = catalog.task_type(task_type), catalog.gate(task_type)
    used = tuple(files) or shipped_files()
    corpora = tuple(_corpus(file) for file in used)
    sources = await judge_texts(gate, kind, read_corpus(used))
    return Texts(policy_hash=gate.policy_hash, corpora=corpora, sources=sources)


def _corpus(file: Path) -> Corpus:
    texts = len(read_corpus([file]))
    shown = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file.name
    return Corpus(name=str(shown), sha256=hashlib.sha256(file.read_bytes()).hexdigest(), texts=texts)


async def scenarios(server: str, *, every: int = 1, tell: Tell = lambda line: None) -> Played:
    """The tricks, the harmless scenarios and the injected ones, in databases of their own on that server.

    `every`: only each so-manieth of the last two. Raises StackError.
    """
    tell("scenarios of collusion, replay, swapped policies and evasion")
    async with _desk(server, World()) as desk:
        tricks = await play_all(desk)
    went: list[Went] = []
    async with _desk(server, World(instructions=instructions(injected()))) as desk:
        # The harmless first: what is laid down in memory for the attacks must not reach them.
        for name, some in (("harmless", harmless()[::every]), ("injected", injected()[::every])):
            tell(f"{len(some)} {name} scenarios")
            went += await run_all(desk, some)
    return Played(tricks=tuple(tricks), scenarios=count(went), went=tuple(went))


@asynccontextmanager
async def _desk(server: str, world: World) -> AsyncIterator[Desk]:
    async with scratch_database(server) as dsn:
        with tempfile.TemporaryDirectory(prefix="parley-redteam-") as home:
            async with open_desk(dsn, Path(home), world) as desk:
                yield desk


async def baseline_of(task_type: str, name: str, connection: AsyncConnection | None) -> Baseline:
    """The shipped one, or what an earlier run holds to: `last`, or its id. Raises NotFound."""
    if name == SHIPPED:
        return load_baseline(task_type) or Baseline()
    found = None if connection is None else await redteam_runs.find(connection, task_type, name)
    if found is None:
        where = "no stack is running to look in" if connection is None else "`parley redteam` keeps its runs there"
        raise NotFound(f"there is no run {name!r} of the red team on {task_type}: {where}; or compare with `shipped`")
    return made_from(SourceFigures.model_validate(one) for one in found["body"]["sources"])


def report_of(task_type: str, judged: Texts, played: Played | None, name: str, baseline: Baseline) -> Report:
    """The run as a whole."""
    return Report(
        id=uuid.uuid4().hex,
        task_type=task_type,
        policy_hash=judged.policy_hash,
        corpora=judged.corpora,
        sources=judged.sources,
        baseline=name,
        limits=baseline,
        regressions=regressions(judged.sources, baseline),
        tricks=played.tricks if played else (),
        scenarios=played.scenarios if played else None,
    )


async def store(connection: AsyncConnection, report: Report) -> None:
    """Keep the run among the others."""
    body = report.model_dump(mode="json")
    await redteam_runs.save(connection, report.id, report.task_type, report.policy_hash, report.passed, body)
