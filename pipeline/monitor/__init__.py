"""Monitor: the server inside a running service that can be asked how the service is.

Import `monitor`, which imports the others only once the server is to listen: most services have
none. A further page is a line in routes() of `pages`, a further figure one in `metrics`.
"""
