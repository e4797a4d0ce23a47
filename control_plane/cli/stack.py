"""The local stack: up, down, status, doctor, worker."""

from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, note, say, table
from control_plane.cli.session import enter_stack, settings


def up(as_json: Json = False) -> None:
    """Start the local stack: Postgres, the Prefect server, workers. What runs already stays.

    Example: parley up
    """
    from deployments.local import up as start

    state = start(settings(), note)
    if as_json:
        emit_json({"home": state.home, "prefect_api_url": state.prefect_api_url})
        return
    say(f"Prefect: {state.prefect_api_url.removesuffix('/api')}")
    say("stop with: parley down")


def down(as_json: Json = False) -> None:
    """Stop the local stack; its data stays.

    Example: parley down
    """
    from deployments.local import down as stop

    given = settings()
    stop(given, note)
    if as_json:
        emit_json({"home": given.home.resolve(), "up": False})


def status(as_json: Json = False) -> None:
    """Say which parts of the stack run, and where.

    Example: parley status
    """
    from deployments.local import status as look

    found = look(settings())
    if as_json:
        emit_json({"home": found.home, "healthy": found.healthy, "parts": found.parts})
        return
    if not found.parts:
        say(f"no stack in {found.home}: parley up")
        return
    table(("part", "up", "detail"), ((part.name, part.up, part.detail) for part in found.parts))


def doctor(as_json: Json = False) -> int:
    """Look for what is wrong with the stack and say what mends it. Exit code 1 when something is.

    Example: parley doctor
    """
    from deployments.doctor import examine

    found = examine(settings())
    if as_json:
        emit_json({"well": not found, "ailments": found})
    elif found:
        table(("problem", "what to do"), ((ailment.problem, ailment.mend) for ailment in found))
    else:
        say("nothing is wrong")
    return 1 if found else 0


def worker(as_json: Json = False) -> None:
    """Run a worker in the foreground, until Ctrl-C: it moves due tasks forward. While Postgres is away it waits.

    Example: PARLEY_WORKER_CONCURRENCY=4 parley worker
    """
    import asyncio
    import signal

    # What a script starts in the background has it ignored; while it works, the worker listens to it all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    enter_stack(quiet=False, patient=True)
    from flows.worker_process import serve

    asyncio.run(serve(settings()))
    if as_json:
        emit_json({"stopped": True})


COMMANDS = (up, down, status, doctor, worker)
