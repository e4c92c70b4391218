"""Program: command line, service, catch-up and the wiring; no other package imports from here."""
