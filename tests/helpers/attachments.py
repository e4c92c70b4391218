"""References to the attachments of a UBL invoice, made for tests."""

from __future__ import annotations

from base64 import b64encode

ONE = b"%PDF-1.7\none\n%%EOF\n"


def coded(data: bytes) -> str:
    return b64encode(data).decode()


def reference(
    data: bytes | str = ONE,
    *,
    says: str = "",
    id_: str = "x",
    mime: str | None = "application/pdf",
    file: str | None = None,
) -> str:
    text = data if isinstance(data, str) else coded(data)
    attributes = f' mimeCode="{mime}"' if mime is not None else ""
    attributes += f' filename="{file}"' if file is not None else ""
    return (
        f"<cac:AdditionalDocumentReference><cbc:ID>{id_}</cbc:ID>{says}<cac:Attachment>"
        f"<cbc:EmbeddedDocumentBinaryObject{attributes}>{text}</cbc:EmbeddedDocumentBinaryObject>"
        "</cac:Attachment></cac:AdditionalDocumentReference>"
    )


def element(name: str, text: str) -> str:
    return f"<cbc:{name}>{text}</cbc:{name}>"


def described(text: str) -> str:
    return element("DocumentDescription", text)
