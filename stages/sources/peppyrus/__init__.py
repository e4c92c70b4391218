"""Connector of Peppyrus: what organisations receive by Peppol, each with a key."""
