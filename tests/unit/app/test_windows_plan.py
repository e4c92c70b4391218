"""What would be installed on Windows is known without Windows: account, command, rights."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from msgspec import structs

from pipeline.app.service_manager.definition import ServiceDefinition, ServiceError
from pipeline.app.service_manager.windows_plan import (
    AccountKind,
    Grant,
    WindowsPlan,
    failure_actions,
    make_plan,
    needs_logon_right,
    needs_password,
    plan_text,
    revoke_command,
    virtual_account,
)

PYTHON = r"C:\Program Files\synqup\python.exe"
PLAIN = ServiceDefinition(
    name="synqup",
    config=Path("/ProgramData/synqup/synqup.toml"),
    program=(PYTHON, "-m", "pipeline.app.cli"),
    installed_in=(Path("C:/Program Files/synqup"),),
    account=r"NT SERVICE\synqup",
    state_dir=Path("/ProgramData/synqup/state"),
    folders=(Path("/books"),),
    secret_files=(Path("/ProgramData/synqup/secret"),),
)


def planned(account: str = r"NT SERVICE\synqup", **changes: object) -> WindowsPlan:
    definition = structs.replace(PLAIN, account=account, **changes)
    return make_plan(definition, PYTHON, PYTHON)


@pytest.mark.parametrize(
    ("account", "known_as", "kind"),
    [
        (r"NT SERVICE\synqup", r"NT SERVICE\synqup", AccountKind.VIRTUAL),
        (r"nt service\SYNQUP", r"NT SERVICE\synqup", AccountKind.VIRTUAL),
        (r"OFFICE\synqup$", r"OFFICE\synqup$", AccountKind.MANAGED),
        ("LocalSystem", "LocalSystem", AccountKind.BUILT_IN),
        ("networkservice", r"NT AUTHORITY\NetworkService", AccountKind.BUILT_IN),
        (r"NT Authority\LocalService", r"NT AUTHORITY\LocalService", AccountKind.BUILT_IN),
        (r"OFFICE\anna", r"OFFICE\anna", AccountKind.ORDINARY),
        (" anna ", r".\anna", AccountKind.ORDINARY),
        (r".\anna", r".\anna", AccountKind.ORDINARY),
        ("anna@office.example", "anna@office.example", AccountKind.ORDINARY),
    ],
)
def test_an_account_is_known_by_its_name(account: str, known_as: str, kind: AccountKind) -> None:
    plan = planned(account)
    assert (plan.account, plan.kind) == (known_as, kind)
    assert needs_password(plan) is (kind is AccountKind.ORDINARY)
    assert needs_logon_right(plan) is (kind in (AccountKind.ORDINARY, AccountKind.MANAGED))


def test_the_virtual_account_of_another_service_is_refused_in_words() -> None:
    assert virtual_account("x") == r"NT SERVICE\x"
    with pytest.raises(ServiceError, match=r"Write NT SERVICE.synqup, or leave --account out"):
        planned(r"NT SERVICE\other")


def test_windows_starts_the_interpreter_itself() -> None:
    plan = planned()
    start = rf'"{PYTHON}" -I -X utf8 -m pipeline.app.windows_service --config '
    assert plan.command_line.startswith(start)
    assert plan.environment == ()
    # The one of a virtual environment only starts another one.
    inside = r"C:\venv\Scripts\python.exe"
    plan = make_plan(PLAIN, inside, PYTHON)
    assert plan.command_line.startswith(start)
    assert plan.environment == (f"__PYVENV_LAUNCHER__={inside}",)


def test_secrets_in_variables_come_from_their_file() -> None:
    plan = planned(variables=("TOKEN",))
    assert "--environment " in plan.command_line
    assert any(grant.path.name == "synqup.env" for grant in plan.grants)


def test_the_account_gets_rights_to_what_it_writes_and_reads() -> None:
    by_path = {grant.path: grant.rights for grant in planned().grants}
    assert by_path[PLAIN.state_dir] == by_path[Path("/books")] == "(OI)(CI)M"
    assert by_path[PLAIN.config] == by_path[PLAIN.secret_files[0]] == "R"
    assert Path("C:/Program Files/synqup") not in by_path
    # In somebody's profile nobody else may read.
    plan = planned(installed_in=(Path("C:/Users/anna/synqup"),))
    assert Grant(Path("C:/Users/anna/synqup"), "(OI)(CI)RX") in plan.grants
    plan = make_plan(
        structs.replace(PLAIN, installed_in=(Path("/profiles/a"),)),
        PYTHON,
        PYTHON,
        PurePosixPath("/profiles"),
    )
    assert Grant(Path("/profiles/a"), "(OI)(CI)RX") in plan.grants


def test_rights_are_given_and_taken_by_icacls() -> None:
    books = Grant(Path("books"), "(OI)(CI)M")
    assert books.command("anna") == ["icacls", "books", "/grant", "anna:(OI)(CI)M"]
    private = Grant(Path("state"), "(OI)(CI)M", private=True).command("anna")
    assert private[2:4] == ["/inheritance:r", "/grant:r"]
    assert [one.partition(":")[0] for one in private[4:]] == ["anna", "*S-1-5-32-544", "*S-1-5-18"]
    assert revoke_command("books", "anna") == ["icacls", "books", "/remove:g", "anna"]


def test_the_ladder_of_recovery_is_that_of_the_documents() -> None:
    actions = failure_actions(1)
    assert actions["Actions"] == [(1, 5_000), (1, 60_000), (1, 300_000)]
    assert actions["ResetPeriod"] == 86_400
    shown = plan_text(planned(shutdown_grace=100.0))
    assert "started again after 5 s, 60 s, 300 s" in shown
    assert "not after exit status 2" in shown
    assert "for 130 s" in shown
    assert "automatic, delayed" in shown
    assert all(line.isprintable() for line in shown.splitlines())
