"""The views of the MAE page: a guess, the shuffle, targets, many masks at once, and what not seeing saves."""
