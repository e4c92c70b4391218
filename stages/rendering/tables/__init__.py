"""Tables of rendering: where business terms stand in UBL and CII, and words in three languages.

ubl.txt, cii.txt: a tree of elements by indentation, `name|other name[condition]`, a tab, the
number of the term ("-" for what is shown by other means). A condition is `path=text` with a path
below the element or an attribute; `@name` is an attribute. Sources: EN 16931-3-2 (UBL) and -3-3
(CII). labels.tsv: a term or a word of the layout, in Dutch, French and English. codes.tsv: a code
list, a code, and its meaning in these. Sources: UNTDID 1001, 2475, 4451, 4461 and 5305, UN/ECE
Recommendation 20, and the Electronic Address Scheme list of EN 16931; the words are ours.
"""
