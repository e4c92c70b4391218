"""Monitor: the server inside a running service that can be asked how the service is.

Import `monitor`, which imports the others only once the server is to listen: most services have
none. A page or a figure more is a line in the table ROUTES of `pages`, or a function of `metrics`.
"""
