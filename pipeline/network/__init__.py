"""Network: the way to an address outside, by proxy or not, and the authorities that are trusted."""
