"""What talks to the Hugging Face hub, as a process of its own: it can be ended at once, whatever it waits for.

`hub_client.py list NAME` says what a repository holds; `hub_client.py fetch NAME REVISION FOLDER FILE ...` brings it.
Prints one line of JSON. Imports nothing of tfsss, so that it starts quickly.
"""

from __future__ import annotations

import json
import sys
from typing import Any

TIMEOUT_S = 15


def answer(command: str, name: str, *rest: str) -> dict[str, Any]:
    """What the hub says; the host's own key is not used, so that visitors see public repositories only."""
    import huggingface_hub as hub

    if command == "list":
        found = hub.HfApi().model_info(name, files_metadata=True, timeout=TIMEOUT_S, token=False)
        return {"revision": found.sha, "files": {each.rfilename: each.size or 0 for each in found.siblings}}
    revision, folder, *files = rest
    for file in files:
        hub.hf_hub_download(name, file, revision=revision, local_dir=folder, token=False)
    return {}


if __name__ == "__main__":
    try:
        said = answer(*sys.argv[1:])
    except Exception as error:  # the process that started this one finds the sentence
        said = {"error": [kind.__name__ for kind in type(error).__mro__], "message": str(error)}
    print(json.dumps(said))
