"""Connector of Scrada: what companies receive by Peppol, each with a key and a password."""
