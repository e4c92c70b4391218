"""The program: command line, service, catch-up; nothing imports it but the entry point and tests."""
