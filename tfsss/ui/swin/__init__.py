"""The views of the Swin page."""
