"""TLS: certificates that are not trusted, that are named, that are no longer there."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import anyio
import pytest

from tests.helpers.trial import all_arrived_once, trial

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that has signed itself, with its key."""
    pytest.importorskip("cryptography", reason="a certificate is made with cryptography")
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "sandbox.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


async def test_an_unknown_certificate_is_refused_until_it_is_named(
    tmp_path: Path, certificate: Path
) -> None:
    async with trial(tmp_path, tls=certificate) as it:
        outcome = await it.bring(it.config())
        said = outcome.failures["billtobox"]
        assert "the server's certificate is not trusted (self" in said
        assert "ca_file in [[sources]]" in said
        assert not outcome.counters.listed
        outcome = await it.bring(it.config(f'ca_file = "{certificate.as_posix()}"\n'))
        assert not outcome.failures
        assert all_arrived_once(it)


async def test_a_ca_file_that_is_none_any_more_is_said(tmp_path: Path, certificate: Path) -> None:
    async with trial(tmp_path) as it:
        path = tmp_path / "authority.pem"
        path.write_bytes(certificate.read_bytes())
        config = it.config('ca_file = "authority.pem"\n')
        for spoil in (partial(path.write_text, "none"), path.unlink):
            spoil()
            outcome = await it.bring(config)
            assert "authority.pem can't be used" in outcome.failures["billtobox"]
            assert "Name a readable file of certificates" in outcome.failures["billtobox"]


async def test_the_command_misbehaves_as_it_is_told(tmp_path: Path, certificate: Path) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text('[[faults]]\nname = "error"\non = "document"\neach = 1\n')
    config = tmp_path / "synqup.toml"
    command = [sys.executable, "-c", "from pipeline.app.cli import main; main()"]
    options = ["--documents", "20", "--write-config", str(config)]
    options += ["--faults", str(faults), "--fault", "clock=0.5", "--tls", str(certificate)]
    async with await anyio.open_process(
        [*command, "sandbox", *options], cwd=ROOT, stderr=None
    ) as sandbox:
        assert sandbox.stdout is not None
        assert (await sandbox.stdout.receive()).startswith(b"listening on https://127.0.0.1:")
        done = await anyio.run_process(
            [*command, "catch-up", "--config", str(config)], cwd=ROOT, check=False
        )
        sandbox.terminate()
        await sandbox.wait()
    assert b"20 delivered" in done.stdout
    assert done.returncode == 0
    assert json.dumps(str(certificate)) in config.read_text("utf-8")
    wrong = await anyio.run_process([*command, "sandbox", "--fault", "rest"], cwd=ROOT, check=False)
    assert wrong.returncode == 2
    assert b'there is no fault "rest"; they are' in wrong.stderr
    assert b"lost-acknowledgement: taken, and the answer is reset" in wrong.stderr
