"""Wrappings of documents, as senders and platforms put them around one."""

from __future__ import annotations

import gzip
import zipfile
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from io import BytesIO
from urllib.parse import quote

Wrap = Callable[[bytes], bytes]


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP of these files, by name; a name that ends in a slash is a folder."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files:
            # A time of its own would give each process of the tests other data.
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def armoured(data: bytes) -> bytes:
    return b"-----BEGIN DOCUMENT-----\r\nVersion: 1\r\n\r\n%b-----END DOCUMENT-----\r\n" % (
        encodebytes(data)
    )


def mailed(data: bytes, *more: bytes) -> bytes:
    """An e-mail message with a text and attachments."""
    parts = [
        b"Content-Type: text/plain\r\n\r\nThe invoice is attached.\r\n",
        *(
            b"Content-Type: application/octet-stream; name=invoice\r\n"
            b"Content-Transfer-Encoding: base64\r\n"
            b"Content-Disposition: attachment; filename=invoice\r\n\r\n" + encodebytes(one)
            for one in (data, *more)
        ),
    ]
    head = b"From: a@b.be\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
    head += b'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n'
    return head + b"".join(b"--=_b\r\n%b\r\n" % part for part in parts) + b"--=_b--\r\n"


#: Those of which what is inside is delivered.
TRANSPORTS: dict[str, Wrap] = {
    "base64": b64encode,
    "base64 in lines": encodebytes,
    "base64 in lines of Windows": lambda data: encodebytes(data).replace(b"\n", b"\r\n"),
    "base64 without padding": lambda data: b64encode(data).rstrip(b"="),
    "base64url": urlsafe_b64encode,
    "base64url without padding": lambda data: urlsafe_b64encode(data).rstrip(b"="),
    "base64 in quotes": lambda data: b'"%b"' % b64encode(data),
    "base64 of JSON": lambda data: b'"%b"\n' % b64encode(data).replace(b"/", b"\\/"),
    "base64 in UTF-16": lambda data: b64encode(data).decode().encode("utf-16"),
    "a data URI": lambda data: b"data:application/xml;charset=utf-8;base64," + b64encode(data),
    "an escaped data URI": lambda data: b"data:;base64," + quote(b64encode(data), "").encode(),
    "armour": armoured,
    "gzip": packed,
    "gzip in two members": lambda data: packed(data[:100]) + packed(data[100:]),
    "gzip with zeros after it": lambda data: packed(data) + b"\0" * 512,
    "a ZIP": lambda data: zipped(("invoice", data)),
    "a ZIP that only stores": lambda data: zipped(("a/b.xml", data), method=zipfile.ZIP_STORED),
    "a ZIP with litter": lambda data: zipped(
        *(("folder/", b""), ("__MACOSX/._invoice.xml", b"x"), (".DS_Store", b"x")),
        *(("folder/Thumbs.db", b"x"), ("empty.txt", b""), ("folder/invoice.xml", data)),
    ),
    "an e-mail": mailed,
    "an e-mail with a signature in front": lambda data: b"DKIM-Signature: v=1\r\n" + mailed(data),
    "an e-mail of a mailbox": lambda data: (
        b"From a@b.be Mon Mar  2 10:00:00 2026\r\n" + mailed(data)
    ),
    "an e-mail that is the document": lambda data: (
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        b"MIME-Version: 1.0\r\n\r\n" + encodebytes(data)
    ),
}
#: Those that only readers see past.
BLEMISHES: dict[str, Wrap] = {
    "a mark": lambda data: b"\xef\xbb\xbf" + data,
    "two marks": lambda data: b"\xef\xbb\xbf" * 2 + data,
    "a mark converted once more": lambda data: b"\xc3\xaf\xc2\xbb\xc2\xbf" + data,
    "blank lines": lambda data: b"\r\n \t\n\n" + data,
    "a mark after a blank line": lambda data: b"\n\xef\xbb\xbf" + data,
    "a blank line after a mark": lambda data: b"\xef\xbb\xbf\r\n" + data,
    "NULs": lambda data: b"\0" * 7 + data,
    "many blanks": lambda data: b" \n" * 5000 + data,
}
#: Encodings of text that no reader of a bank's files knows.
WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
