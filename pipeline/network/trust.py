"""TLS trust: certificates are verified by the authorities of the system, and by those of a file."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

from pipeline.files import check_file

#: Largest certificate file in bytes: a bundle of all public authorities has a twentieth of this.
LARGEST_CA_FILE = 5_000_000


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """A client's TLS context with the certificate store of the operating system.

    ca_file: certificates (PEM) of authorities that are trusted besides. On Windows and macOS the
    system itself verifies, so that what an administrator has distributed counts, and roots that it
    loads when they are first needed. It blocks. Raises OSError (ssl.SSLError is one) for ca_file.
    """
    import truststore  # noqa: PLC0415 - only TLS needs it

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    # An authority that is named is trusted, also where another one has signed its certificate.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if ca_file is not None:
        check_file(ca_file, LARGEST_CA_FILE)
        context.load_verify_locations(ca_file)
    if sys.platform in ("win32", "darwin"):
        return context
    # Elsewhere OpenSSL verifies, and truststore would read the whole store again for each
    # connection (30 ms). The context of one connection has read it, and serves all others.
    return context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="any").context
