"""The sections of the Attention page: one file a view, and what they share."""
