"""The proof of a cluster from outside: real nodes, a real PostgreSQL, faults, an exact count."""
