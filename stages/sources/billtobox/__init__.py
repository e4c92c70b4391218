"""Billtobox, external API v4: as far as it is known, and settings for what is not."""
