"""Ledger: the durable record of each document, in SQLite.

Import `ledger` to read and write it, `models` for its records, `summary` to read it beside a
running program, `counts` for its figures, `database` to copy it. The other modules are private to
this package; `schema` is where a change of the tables begins.
"""
