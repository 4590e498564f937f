"""The Masks page: attention by numbers, masks, blocked rows, leaks, loss."""
