"""Program: command line, service, catch-up, and the wiring that joins engine and stages."""
