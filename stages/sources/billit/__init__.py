"""Billit connector (Belgium): the accountant feeds, and the Peppol inbox, of API v1."""
