"""Connector of Recommand: a team at a Peppol access point, and the inboxes of its companies."""
