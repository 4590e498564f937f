"""Weights by id: what there is, what is here, fetching what is not, and models filled with them."""

from tfsss.weights.checkpoint import load_checkpoint
from tfsss.weights.download import get
from tfsss.weights.hub import from_hub
from tfsss.weights.loading import Loaded, load, untrained
from tfsss.weights.registry import REGISTRY, Entry, best, is_present

__all__ = ["REGISTRY", "Entry", "Loaded", "best", "from_hub", "get", "is_present", "load", "load_checkpoint",
           "untrained"]
