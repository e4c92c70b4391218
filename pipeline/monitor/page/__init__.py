"""Page: what people see of a running service in a browser, and what they can have it do.

`site` answers its addresses. `overview` makes of the health, the engine and the ledger what the
first screen tells, without words of a language; `rendering` says it in the reader's language.
"""
