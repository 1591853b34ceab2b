"""The nouns of the ledger: immutable values with exact arithmetic, and nothing that reaches out."""
