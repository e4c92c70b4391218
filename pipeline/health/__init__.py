"""Health: whether each source and each destination works, for monitors, alerts and the page."""
