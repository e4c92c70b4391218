"""Alerts: tells people and monitors when something of a running service goes wrong, and is over.

Import `alerts`, which imports the others only once [alerts] names somebody to tell, and `settings`.
A further cause is a function in CONDITIONS of `conditions` and its texts in `texts`; a further
shape of a webhook is a line in SHAPES of `shapes`.
"""
