"""A visitor's own weights: from an upload, the server's folder or the hub to a model that the pages run."""
