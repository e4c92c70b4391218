"""What tests share: documents, invoices, servers that misbehave, and trials of the program."""
