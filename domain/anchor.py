"""An anchor as it is written: a signed header, and what stands with it in a file of anchors or of evidence."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from domain.merkle import Head, Proof
from domain.model import Frozen

FORMAT: Final = "parley-anchor/1"

Text = Annotated[str, Field(strict=True)]
Hash = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]
"""Written small: one value has one form."""
Signature = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{128}$")]
Int64 = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
HeadLine = tuple[Text, Int64, Hash]


class Header(Frozen):
    """What is signed."""

    format: Literal["parley-anchor/1"]
    at: Text
    """When it was made, by the clock of whoever made it."""
    count: Int64
    """Chains below the root."""
    root: Hash
    changed: Hash
    """Of the heads that stand with it."""
    previous: Hash
    """Of the header before; zeros in the first."""
    key: Hash
    """The public half of the key that signed it."""

    def plain(self) -> dict[str, Any]:
        """As it was signed."""
        return self.model_dump()


class AnchorLine(Frozen):
    """A line of the file of anchors."""

    header: Header
    signature: Signature
    changed: tuple[HeadLine, ...]
    """The heads that changed since the line before."""


class Inclusion(Frozen):
    """That a chain's head is below an anchor's root."""

    header: Header
    signature: Signature
    head: HeadLine
    proof: tuple[tuple[Literal["left", "right"], Hash], ...]
    """From the head up to the root: on which side the neighbour stands, and its hash."""

    def steps(self) -> Proof:
        """The proof as it is followed."""
        return tuple((side, bytes.fromhex(neighbour)) for side, neighbour in self.proof)


def as_head(line: HeadLine) -> Head:
    """The head of its written form."""
    task_id, seq, hashed = line
    return Head(task_id, seq, bytes.fromhex(hashed))
