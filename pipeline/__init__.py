"""The engine: moves documents through declared stages, durably; it knows no invoice."""
