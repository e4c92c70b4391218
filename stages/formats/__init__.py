"""Formats: one module for each format of documents, listed in registry.py.

From outside the package, import the functions of registry.py, the types of content.py, party.py
and scratch.py, and attachments.py.
"""
