"""The sections of the Patches page: one file a view, and what they share."""
