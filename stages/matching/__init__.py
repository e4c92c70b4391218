"""Matching: whose a document is, by the identifiers and parties that it names."""
