"""e-invoice.be, API 1.1.0: a Peppol access point with one API key for each company."""
