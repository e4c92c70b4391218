"""Values: dates, amounts, identifiers and accounts, each in one spelling."""
