"""The tests of the cluster need what the extra 'cluster' brings."""

from __future__ import annotations

import importlib.util

#: Without it not even their imports can be done.
collect_ignore_glob = [] if importlib.util.find_spec("procrastinate") else ["test_*.py"]
