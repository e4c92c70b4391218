"""Typefaces of rendering: DejaVu Sans 2.37, reduced to the scripts of Europe and the Near East."""
