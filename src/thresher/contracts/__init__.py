"""A recipe's contract: Great Expectations, by their own names, checked before anything is trained."""
