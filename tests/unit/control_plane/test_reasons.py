"""What people type to say why has one bound."""

import pytest

from control_plane.cli.main import main
from control_plane.services import roles
from control_plane.services.calibration import withdraw
from control_plane.services.control import control
from control_plane.services.erasure import Wanted, erase_subject
from control_plane.services.inbox import Said, respond
from control_plane.services.reasons import LONGEST, bounded
from domain.errors import InputError
from storage.repositories.control import Control


def test_a_reason_of_the_longest_length_is_kept():
    assert bounded("é" * LONGEST) == "é" * LONGEST
    assert bounded("") == ""


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("x" * 100_000, "100,000 characters are more than 2,000"),
        ("a\x00b", "no text"),
        ("a\udc80b", "no text"),
    ],
)
def test_what_cannot_be_kept_is_refused(reason, said):
    with pytest.raises(InputError, match=said):
        bounded(reason)


def test_a_key_without_a_file_is_refused(capsys):
    assert main(["audit", "verify", "--key", "zz"]) == 2
    assert "--key is for --file" in capsys.readouterr().err


DOORS = {
    "control": lambda long: control(None, "t", Control.CANCEL, principal="a", reason=long),
    "answer": lambda long: respond(None, "t", "approve", Said("a", long)),
    "grant": lambda long: roles.grant(None, ["admin"], "bob", "admin", by="a", reason=long),
    "revoke": lambda long: roles.revoke(None, "bob", "admin", by="a", reason=long),
    "withdraw": lambda long: withdraw(None, None, long),
    "erase": lambda long: erase_subject(None, None, None, Wanted("4711", long, "a", False)),
}


@pytest.mark.parametrize("door", DOORS)
async def test_every_door_has_the_bound_before_it_asks_anything(door):
    with pytest.raises(InputError, match="say it shorter"):
        await DOORS[door]("x" * (LONGEST + 1))
