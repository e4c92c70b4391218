"""The configuration: its value types, its loader, its secrets and the watcher that reloads it."""
