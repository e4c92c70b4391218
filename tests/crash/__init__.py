"""The proof that no crash, power cut or edit loses a document or brings one twice.

    python -m tests.crash --help

says what there is. All of it works from outside: real processes that are really killed, a real
mailbox on loopback, real files. tests/crash/test_crash.py runs a part of it with every pytest.
"""
