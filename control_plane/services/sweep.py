"""Kill a task at every named point, finish it elsewhere, and compare it with an undisturbed run.

Everything happens in scratch databases of a Postgres that is handed over for it.
"""

import asyncio
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg

from catalog.cases import Case, read_cases
from control_plane.services import inbox
from control_plane.services.sweep_people import answer, appoint
from control_plane.services.sweep_states import State, differences, end_state
from domain import faults
from domain.errors import CaseFileError, StackError
from domain.task import END_STATES, Lane
from domain.task_type import TaskType
from orchestration.submission import submit_task
from orchestration.swept import Orders, serve
from storage.engine import async_engine
from storage.migrations.run import upgrade

LANES = 3
"""Faults that are tried at once, each in a database of its own."""

CANDIDATES = 12
PATIENCE = 60.0
_LOOK = 0.03
_DEAD_LEASE = 3600

# Fork from a process that has imported everything: a worker is there in a fraction of a second.
_FORKS = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Fault:
    """A case, a point, and the time at which it kills."""

    case: int
    point: str
    count: int

    @property
    def name(self) -> str:
        """As PARLEY_FAULT takes it."""
        return self.point if self.count == 1 else f"{self.point}@{self.count}"


@dataclass(frozen=True)
class Swept:
    """What became of a task that was killed at a point."""

    point: str
    case: str
    killed: bool
    status: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """Which kills are wanted, and who is told of each."""

    told: Callable[[Swept], None]
    times: int = 1
    points: Sequence[str] = faults.POINTS


@dataclass
class _Lane:
    number: int
    dsn: str
    faults: list[Fault] = field(default_factory=list)
    tasks: dict[Fault, str] = field(default_factory=dict)
    killed: set[Fault] = field(default_factory=set)


class Sweep:
    """One sweep of a task type."""

    def __init__(self, server: str, task_type: TaskType, cases: Sequence[Case], request: Request) -> None:
        self._server, self._type, self._cases, self._request = server, task_type, tuple(cases), request
        self._catalog = Path(task_type.folder).parent
        self._undisturbed: dict[int, State] = {}

    async def run(self) -> tuple[list[Swept], list[str]]:
        """Every point that the cases reach, and the points that none of them does."""
        _FORKS.set_forkserver_preload(["orchestration.swept"])
        with tempfile.TemporaryDirectory(prefix="parley-sweep-") as folder:
            self._home = Path(folder)
            lanes = await asyncio.to_thread(self._lanes)
            found, unreached = await self._look(lanes[0].dsn)
            for number, fault in enumerate(found):
                lanes[number % LANES].faults.append(fault)
            done = await asyncio.gather(*(self._sweep(lane) for lane in lanes))
        return [one for some in done for one in some], unreached

    def _lanes(self) -> list[_Lane]:
        base = self._server.rsplit("/", 1)[0]
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE parley_sweep")
            upgrade(f"{base}/parley_sweep")
            for number in range(LANES):
                connection.execute(f"CREATE DATABASE parley_sweep_{number} TEMPLATE parley_sweep")
        return [_Lane(number, f"{base}/parley_sweep_{number}") for number in range(LANES)]

    async def _look(self, dsn: str) -> tuple[list[Fault], list[str]]:
        """Run the candidates undisturbed; the faults of few cases that reach every point, and the points that none
        reaches.
        """
        trace = self._home / "trace"
        reached: list[Counter[str]] = []
        with self._worker(dsn, "undisturbed", trace=trace, concurrency=1) as process:
            before = 0
            for number, case in enumerate(self._cases):
                task_id = await self._submit(dsn, case)
                await self._until_ended(dsn, [task_id], process)
                process_points = trace.read_text().splitlines()
                reached.append(Counter(process_points[before:]))
                before = len(process_points)
                self._undisturbed[number] = end_state(dsn, task_id)
        chosen = _choose(reached, self._request.times)
        wanted = [fault for fault in chosen if fault.point in self._request.points]
        passed = {fault.point for fault in chosen}
        return wanted, [point for point in self._request.points if point not in passed]

    async def _sweep(self, lane: _Lane) -> list[Swept]:
        for fault in lane.faults:
            lane.tasks[fault] = await self._submit(lane.dsn, self._cases[fault.case])
            with self._worker(lane.dsn, f"lane{lane.number}", fault=fault.name, lease=_DEAD_LEASE) as process:
                await self._until_ended(lane.dsn, [lane.tasks[fault]], process, dies=True)
            if process.exitcode == -9:
                lane.killed.add(fault)
        with psycopg.connect(lane.dsn, autocommit=True) as connection:
            # What the dead workers held runs out now, by the database's clock.
            connection.execute("UPDATE tasks SET lease_until = now() - interval '1 second' WHERE lease_until > now()")
        with self._worker(lane.dsn, f"lane{lane.number}") as process:
            await self._until_ended(lane.dsn, list(lane.tasks.values()), process)
        return [self._judge(lane, fault) for fault in lane.faults]

    def _judge(self, lane: _Lane, fault: Fault) -> Swept:
        state = end_state(lane.dsn, lane.tasks[fault])
        problems = differences(self._undisturbed[fault.case], state)
        if fault not in lane.killed:
            problems.append("the point was not reached: nothing was killed")
        keys = Counter(record[0] for record in state["records"])
        problems += [f"the effect {key} is there {count} times" for key, count in keys.items() if count > 1]
        swept = Swept(
            point=fault.name,
            case=self._cases[fault.case].key,
            killed=fault in lane.killed,
            status=str(state["task"][0][0]),
            problems=tuple(problems),
        )
        self._request.told(swept)
        return swept

    @contextmanager
    def _worker(
        self, dsn: str, name: str, *, fault: str = "", trace: Path | None = None, lease: int = 30, concurrency: int = 4
    ) -> Iterator[BaseProcess]:
        orders = Orders(
            dsn=dsn,
            home=self._home / name,
            catalog=self._catalog,
            log=self._home / f"{name}.log",
            fault=fault,
            trace=trace,
            lease_seconds=lease,
            concurrency=concurrency,
        )
        process = _FORKS.Process(target=serve, args=(orders,))
        process.start()
        try:
            yield process
        finally:
            process.terminate()
            process.join(15)
            if process.is_alive():
                process.kill()
                process.join()

    async def _submit(self, dsn: str, case: Case) -> str:
        engine = async_engine(dsn, size=1)
        try:
            await appoint(engine, self._type)
            made = await submit_task(engine, self._type, case.payload, principal="sweep", lane=Lane.DIRECT)
        finally:
            await engine.dispose()
        return made.task_id

    async def _until_ended(self, dsn: str, tasks: list[str], process: BaseProcess, *, dies: bool = False) -> None:
        """Answer for people until the tasks have ended, or the process is dead where it should die."""
        engine = async_engine(dsn, size=2)
        try:
            async with asyncio.timeout(PATIENCE + len(tasks)):
                while not await asyncio.to_thread(_ended, dsn, tasks):
                    if not process.is_alive():
                        if dies:
                            return
                        raise StackError(f"a worker of the sweep ended: {self._log(process)}")
                    for asked in await inbox.open_approvals(engine):
                        await answer(engine, asked)
                    await asyncio.sleep(_LOOK)
                if dies:
                    # A point behind the task's end is yet to come.
                    await asyncio.to_thread(process.join, 1.0)
        except TimeoutError:
            stands = await asyncio.to_thread(_standing, dsn, tasks)
            raise StackError(f"tasks of the sweep did not end in time ({stands}): {self._log(process)}") from None
        finally:
            await engine.dispose()

    def _log(self, process: BaseProcess) -> str:
        logs = sorted(self._home.glob("*.log"), key=lambda file: file.stat().st_mtime)
        return f"{process.name}, {logs[-1].read_text(errors='replace')[-1500:] if logs else 'no log'}"


def _standing(dsn: str, tasks: list[str]) -> str:
    with psycopg.connect(dsn) as connection:
        query = "SELECT status, due, fence, lease_owner, lease_until FROM tasks WHERE id = ANY(%s)"
        rows = connection.execute(query + " AND ended_at IS NULL", (tasks,)).fetchall()
    return "; ".join(", ".join(map(str, row)) for row in rows)


def _ended(dsn: str, tasks: list[str]) -> bool:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT status FROM tasks WHERE id = ANY(%s)", (tasks,)).fetchall()
    return all(row[0] in END_STATES for row in found)


def _choose(reached: Sequence[Counter[str]], times: int) -> list[Fault]:
    """Case by case what it reaches and no earlier one did, for the first so many times that it does."""
    chosen: list[Fault] = []
    covered: set[str] = set()
    left = dict(enumerate(reached))
    while left:
        case = max(left, key=lambda number: (len(left[number].keys() - covered), -number))
        fresh = left.pop(case)
        new = fresh.keys() - covered
        if not new:
            break
        covered |= new
        order = [point for point in fresh if point in new]
        chosen += [Fault(case, point, count) for point in order for count in range(1, min(times, fresh[point]) + 1)]
    return chosen


def cases_of(task_type: TaskType, file: Path | None) -> tuple[Case, ...]:
    """The file's first cases; without one, those of the first file of the pilot's data. Raises CaseFileError."""
    if file is None:
        data = Path(task_type.folder) / "data"
        files = sorted(one for one in data.glob("*") if one.suffix in (".csv", ".jsonl")) if data.is_dir() else []
        if not files:
            raise CaseFileError(f"{data} holds no case file: name one with --cases")
        file = files[0]
    cases = read_cases(task_type, file, limit=CANDIDATES).cases
    if not cases:
        raise CaseFileError(f"{file}: no line can be used")
    return cases
