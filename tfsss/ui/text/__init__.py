"""The Text page: word pieces, attention between them, pairs, padding, and two sentences compared."""
