"""What people type to say why: kept with the task for good, so there is a bound to it."""

from domain.errors import InputError

LONGEST = 2000


def bounded(reason: str, option: str = "--reason") -> str:
    """The reason as it may be kept. Raises InputError."""
    if len(reason) > LONGEST:
        told = f"{len(reason):,} characters are more than {LONGEST:,}: say it shorter, it is kept with what you do"
        raise InputError(f"{option}: {told}")
    if "\x00" in reason or any("\ud800" <= one <= "\udfff" for one in reason):
        raise InputError(f"{option}: it holds bytes that are no text: give UTF-8 without NUL")
    return reason
