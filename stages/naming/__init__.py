"""Naming: what path and name templates make of a company and a document, safe on every disk."""
