"""What ends a benchmark: a figure that would be wrong is no figure."""

from __future__ import annotations


class BenchmarkError(Exception):
    """a run failed, or did not deliver what it ought to have"""
