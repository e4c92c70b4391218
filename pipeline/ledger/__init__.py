"""The ledger: the durable memory of every document; import Ledger and open_ledger from ledger, records from models."""
