"""A certificate authority of the tests' own, as a company has one that inspects TLS."""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest


class Authority:
    """It signs certificates for any host. root: its own certificate (PEM).

    above: the authority that has signed that; none for a root.
    """

    def __init__(
        self, folder: Path, name: str = "Inspection Root", above: Authority | None = None
    ) -> None:
        pytest.importorskip("cryptography", reason="certificates are made with cryptography")
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.root = (above or self)._sign(name, self._key, None)

    def certificate(self, host: str) -> Path:
        """A certificate for a host with its key (PEM)."""
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        return self._sign(host, ec.generate_private_key(ec.SECP256R1()), host)

    def server_context(self, host: str) -> ssl.SSLContext:
        """The TLS context of a server that is believed to be a host."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate(host))
        return context

    def _sign(self, name: str, key: object, host: str | None) -> Path:
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        assert isinstance(key, ec.EllipticCurvePrivateKey)
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self._name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if host is not None:
            named: x509.GeneralName = x509.DNSName(host)
            with suppress(ValueError):
                named = x509.IPAddress(ip_address(host))
            names = x509.SubjectAlternativeName([named])
            builder = builder.add_extension(names, critical=False)
        made = builder.sign(self._key, hashes.SHA256())
        text = made.public_bytes(serialization.Encoding.PEM)
        if host is not None:
            text += key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        path = self._folder / f"{name.replace(' ', '-').replace(':', '_')}.pem"
        path.write_bytes(text)
        return path
