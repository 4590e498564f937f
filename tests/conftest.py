"""One torch thread, and references that import: timm needs torchvision, whose wheel is built for CUDA."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import torch

torch.set_num_threads(1)  # small models: threads only wait for each other on a busy machine

torchvision = Path(find_spec("torchvision").origin).parent
try:
    torch.ops.load_library(next(torchvision.glob("_C.*")))
except OSError:
    # Beside a CPU torch its compiled operators do not load, and its import then stumbles over their names. Declaring
    # the names is enough for the import; none of them is ever called.
    source = (torchvision / "_meta_registrations.py").read_text(encoding="utf-8")
    operators = torch.library.Library("torchvision", "DEF")  # the names live as long as this object
    for name in set(re.findall(r'(?:register_meta\(|torchvision::)"?(\w+)"', source)):
        operators.define(f"{name}(Tensor input) -> Tensor")
