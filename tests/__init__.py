"""The tests: unit (each package alone), system (the program as a whole), crash, and helpers.

A test imports from `tests.helpers` and `tests.crash`, never from another test.
"""
