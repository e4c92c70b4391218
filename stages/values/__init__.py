"""Values: identifiers, dates, amounts and account numbers, each in one spelling before it is text.

Import the functions of its modules: `text` knows what invisible signs are, `identifiers` spells
numbers, `schemes` says which register a number is of, `checks` tests its check digits, `identity`
decides whether it identifies anybody, `dates`, `amounts` and `accounts` do what they are called.
"""
