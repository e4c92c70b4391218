"""Connector of CodaBox, by its delivery API v2."""
