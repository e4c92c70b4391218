"""Health: whether each source and each destination works, for monitors, alerts and the page.

Import `model`, and `collector`, which makes one; the other modules are private to this package.
"""
