"""Folders: where a document goes, under which name, and how it gets there whole."""
