"""Push: takes the requests by which platforms say that they have something new, and makes hints.

Import `receiver`, which imports the server only once it is to listen: most services have none.
"""
