"""The monitor and `status` tell the same of a sign-in; the exchange goes by the proxy as well."""

from __future__ import annotations

import time
from pathlib import Path

import anyio.to_thread
import pytest

from pipeline.app.wiring import Config, open_sign_in
from pipeline.network.proxy import ProxyRefused
from pipeline.sign_in import SignInState
from stages.sandbox import write_config
from tests.helpers.browsing import decide
from tests.helpers.proxy import InspectingProxy, proxying
from tests.helpers.services import visiting, watched
from tests.helpers.trial import all_arrived_once, trial

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

DAY = 86_400.0
LEFT = 'synqup_source_sign_in_left_seconds{source="billtobox"}'


async def signed_in(config: Config) -> SignInState:
    flow = open_sign_in(config.sources[0], config.service.state_dir)
    try:
        sent_to = await anyio.to_thread.run_sync(decide, flow.address(1))
        return await flow.finish(flow.code_of(sent_to))
    finally:
        await flow.close()


async def test_the_time_left_of_a_sign_in_is_told_alike_everywhere(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=3) as it:
        write_config(it.path, it.sandbox, it.mailbox, by_person=True)
        config = it.config()
        async with visiting(watched(config)) as visitor:
            told = await visitor.until_ready(wanted=False)
            while "nobody has signed in" not in told["sources"][0]["trouble"]["reason"]:
                _, told = await visitor.ready()
            (source,) = told["sources"]
            assert source["trouble"]["remedy"] == "Sign in: synqup sign-in billtobox"
            assert source["sign_in_ends_at"] is None
            assert LEFT not in await visitor.metrics()

            await signed_in(config)
            (source,) = (await visitor.until_ready())["sources"]
            state = config.sources[0].sign_in_state(config.service.state_dir)
            assert state is not None
            assert state.ends_at is not None
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(state.ends_at))
            assert source["sign_in_ends_at"] == at
            assert 29 * DAY < (await visitor.metrics())[LEFT] <= 30 * DAY


async def test_the_code_is_exchanged_by_the_proxy_of_the_source(tmp_path: Path) -> None:
    async with (
        trial(tmp_path, documents=3) as it,
        proxying(InspectingProxy(credentials="us:p@ss")) as proxy,
    ):
        write_config(it.path, it.sandbox, it.mailbox, proxy=proxy.url, by_person=True)
        with pytest.raises(ProxyRefused, match="asks for a user and a password"):
            await signed_in(it.config())
        (tmp_path / "proxy.secret").write_text("p@ss")
        config = it.config('proxy_user = "us"\nproxy_password = { file = "proxy.secret" }\n')
        assert (await signed_in(config)).account == "jan@firm.example"
        assert proxy.targets() == {it.sandbox.token_url}
        assert not (await it.bring(config)).failures
        assert all_arrived_once(it)
