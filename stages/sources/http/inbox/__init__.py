"""Inbox: the source of a platform that lists what is not confirmed, gives it, and is told of it."""
