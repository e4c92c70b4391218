"""Naming: fills path and name templates, so that every name is valid on every file system.

All modules may be imported; none depends on other packages of stages.
"""
