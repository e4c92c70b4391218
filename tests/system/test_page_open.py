"""`synqup open` signs its caller in on the page of the running service, by a link good once."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from pipeline.control.protocol import SOCKET
from tests.helpers.processes import mailbox, process, send, synqup, wait_until
from tests.helpers.systems import posix_only


def visit(address: str) -> str:
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(address, timeout=60) as answer:
        text: str = answer.read().decode()
        return text


@posix_only("it is stopped otherwise")
def test_open_gives_an_address_that_signs_in_once(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 3, "--companies", 1) as box:
        said = synqup("open", "--config", box.config, "--no-browser", expect=1)
        assert "service" in said
        text = box.config.read_text("utf-8")
        with process("run", "--config", box.config) as running:
            wait_until((box.folder / "state" / SOCKET).exists)
            said = synqup("open", "--config", box.config, "--no-browser", expect=1)
            assert 'Write listen = "127.0.0.1:8470" into [monitor]' in said
            box.config.write_text(f'{text}\n[monitor]\nlisten = "127.0.0.1:0"\n', "utf-8")
            address = ""

            def serves() -> bool:
                nonlocal address
                try:
                    told = synqup("open", "--config", box.config, "--json", expect=0)
                except AssertionError:
                    return False
                address = json.loads(told)["address"]
                return True

            wait_until(serves)
            assert 'id="fetch-now"' in visit(address)
            again = visit(address)
            assert 'id="fetch-now"' not in again
            assert "used or is too old" in again
            send(running, "SIGTERM")
            running.wait(30)
