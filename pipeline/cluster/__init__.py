"""Cluster: several nodes that share one ledger in PostgreSQL, and divide the work among them."""
