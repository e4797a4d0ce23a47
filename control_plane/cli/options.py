"""Options that several commands share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who acts; else PARLEY_PRINCIPAL or the login.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")]
