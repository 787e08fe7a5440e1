"""How fast the service answers: what a prediction costs beside a constant answer and beside the usual endpoint.

It ends with a line of JSON. What is measured, and how, is told in benchmarks/serving.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # A script's own folder comes first on the path, and there this file would hide the room of the same name.
    sys.path[0] = str(Path(__file__).parent.parent)
    from benchmarks.serving import main

    main()
