"""Connectors: one folder for each remote system, listed in registry.py; import that module only."""
