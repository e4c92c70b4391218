"""Matching: decides what kind a document is and which company it belongs to.

Import the functions and types of its modules: `rules` decides, `parties` finds companies by
identifiers, `fingerprint` recognises the same invoice in another form.
"""
