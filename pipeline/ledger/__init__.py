"""Ledger: the durable memory of each document; the records that it gives and takes are models."""
