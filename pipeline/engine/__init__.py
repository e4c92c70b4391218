"""The engine: moves documents through the stages; app and stages import its queue, breaker and engine."""
