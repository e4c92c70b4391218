"""HTTP for every source that speaks it: client, session, token, concurrency limiter."""
