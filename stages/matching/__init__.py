"""Matching: decides what kind a document is, which company it belongs to, and if it came before.

Import the functions and types of its modules: `rules` and `statements` decide, by the evidence that
`evidence` weighs; `parties` finds companies by numbers and accounts; `answers` settles answers to
invoices; `fingerprint` proves duplicates.
"""
