"""A thread that filters run on: whoever hangs in it is left behind, and nothing waits for him."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

Job = Callable[[], Any]


class WatchedThread:
    """Runs jobs one after another on a daemon thread; one that takes too long is abandoned with its thread.

    A daemon, because a process must be able to end while a filter hangs.
    """

    def __init__(self) -> None:
        self._jobs = self._begin()

    def _begin(self) -> "queue.SimpleQueue[tuple[Job, asyncio.AbstractEventLoop, asyncio.Future[Any]]]":
        jobs: queue.SimpleQueue[tuple[Job, asyncio.AbstractEventLoop, asyncio.Future[Any]]] = queue.SimpleQueue()
        threading.Thread(target=_serve, args=(jobs,), name="filters", daemon=True).start()
        return jobs

    async def run(self, job: Job, seconds: float) -> Any:
        """The job's result. Raises TimeoutError, and whatever the job raises."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        jobs = self._jobs
        jobs.put((job, loop, done))
        try:
            return await asyncio.wait_for(done, seconds)
        except TimeoutError:
            if jobs is self._jobs:
                # Those who wait behind the one that hangs run out of time as well, and are judged as that.
                self._jobs = self._begin()
            raise


def _serve(jobs: "queue.SimpleQueue[tuple[Job, asyncio.AbstractEventLoop, asyncio.Future[Any]]]") -> None:
    while True:
        job, loop, done = jobs.get()
        result, error = None, None
        try:
            result = job()
        except BaseException as problem:  # handed to whoever waits
            error = problem
        try:
            loop.call_soon_threadsafe(_settle, done, result, error)
        except RuntimeError:
            return  # the loop has ended, and its gate with it


def _settle(done: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if done.done():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)
