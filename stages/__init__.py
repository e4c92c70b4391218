"""The stages, list to write, and what they know: remote systems, formats, folders."""
