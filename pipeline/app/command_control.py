"""What `synqup poll`, `pause`, `resume`, `retry`, `redeliver` and `assign` do.

They ask the running service. Where none runs, they do it themselves, with the state folder locked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from pipeline.app.cli_common import leave_with
from pipeline.app.command_find import one_key
from pipeline.app.exit_codes import ExitCode
from pipeline.app.output import in_json
from pipeline.app.wiring import Config, ledger_place, load_config
from pipeline.control.actions import ActionResult
from pipeline.control.client import NoService, ask, own_name
from pipeline.ledger.place import LedgerPlace

#: Seconds that a command waits for what comes of it.
WAIT = 30.0


def control(
    path: Path,
    action: str,
    arguments: Mapping[str, Any],
    ids: Sequence[str] = (),
    *,
    as_json: bool,
) -> None:
    """Ask for an action, and print what comes of it. ids: of the documents that it is of."""
    settings = load_config(path)
    asked = {**arguments, **_documents(ledger_place(settings), action, ids)}
    try:
        answer = ask(settings.service.state_dir, action, asked)
        result = msgspec.convert(answer, ActionResult)
    except NoService as error:
        if action == "poll" and settings.cluster is None:
            raise NoService(
                error.subject, error.reason, "Start it; or bring everything once: synqup catch-up"
            ) from None
        result = _alone(settings, path, action, asked)
    print(in_json(result) if as_json else f"{result.sentence[:1].upper()}{result.sentence[1:]}.")
    leave_with(ExitCode.INCOMPLETE if result.failed else ExitCode.OK)


def _documents(ledger: LedgerPlace, action: str, ids: Sequence[str]) -> dict[str, Any]:
    if action in ("poll", "pause", "resume"):
        return {}
    keys = [(key.source, key.id, key.revision) for key in (one_key(ledger, id_) for id_ in ids)]
    if action == "assign":
        return {"key": keys[0], "wait": WAIT}
    return {"keys": list(dict.fromkeys(keys)), "wait": WAIT}


def _alone(settings: Config, path: Path, action: str, asked: Mapping[str, Any]) -> ActionResult:
    """Do it in this process, with the lock of the state folder. StateInUse if another has it."""
    from pipeline.app.control_alone import do_alone  # noqa: PLC0415 - it imports much
    from pipeline.app.identity import claim_state  # noqa: PLC0415
    from pipeline.app.lock import single_instance  # noqa: PLC0415
    from pipeline.app.logging import configure_logging  # noqa: PLC0415
    from pipeline.app.loop import run_loop  # noqa: PLC0415
    from pipeline.app.node_note import claim_kind  # noqa: PLC0415

    state_dir = settings.service.state_dir
    with single_instance(state_dir):
        log = configure_logging(state_dir / "logs", settings.service, quiet=True)
        claim_state(state_dir, path, take_over=False)
        claim_kind(settings)
        return run_loop(partial(do_alone, settings, action, asked, own_name(), log.record))
