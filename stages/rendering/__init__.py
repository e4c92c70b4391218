"""Rendering: invoices (UBL, CII) and statements (CODA) as PDFs that people read.

Import `rendering.pdf`; the rest is how it is made: `documents` and `reader` read a document into
the `model` of business terms by the `tables`, `invoice` and `statement` lay it out, `sheet`,
`typeface` and `bidi` draw it.
"""
