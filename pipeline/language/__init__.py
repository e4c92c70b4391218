"""Language: texts in Dutch, French and English, and what parts of synqup have said, for people.

The texts of each part stand in a catalog of its own, beside its code; here are the catalogs of
what errors say, and all that is common.
"""
