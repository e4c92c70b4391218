"""Ledger: the durable record of each document, in a file of SQLite or a database of PostgreSQL.

Import `ledger` to read and write it, `models` for its records, `place` for where it lies, `summary`
to read it beside a running program, `counts` for its figures, `database` to copy a file. The other
modules are private to this package; `schema` is where a change of the tables begins. What concerns
one database alone is in `sqlite_*`, `database` and `migration`, or in `postgres_*`.
"""
