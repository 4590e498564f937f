"""The Position page's parts: its controls, what they stand for, and one drawing function for each view."""
