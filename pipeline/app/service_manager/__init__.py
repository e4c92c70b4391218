"""Service managers: how synqup is installed with systemd and Windows, and what it tells them.

definition.py says what is installed, manager.py by which manager; link.py says what a running
service tells it.
"""
