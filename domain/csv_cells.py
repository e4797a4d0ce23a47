"""How long a cell of a CSV may be: the reader's limit holds for the whole process."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cells_up_to(characters: int) -> Iterator[None]:
    """Read cells of up to so many characters; the limit is put back afterwards."""
    before = csv.field_size_limit(characters)
    try:
        yield
    finally:
        csv.field_size_limit(before)
