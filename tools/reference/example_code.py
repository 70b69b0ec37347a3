# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lines of the examples, which tests run, for pages that show them."""

from __future__ import annotations

import re
from pathlib import Path


def example_blocks(root: Path) -> dict[str, str]:
    """How ``~/labels`` is decoded: the constants and the function of the example."""
    text = (root / "examples" / "decode_labels.py").read_text(encoding="utf-8")
    found = re.search(r"^UNLABELLED = .*?(?=\n\n\nclass )", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit("examples/decode_labels.py: expected UNLABELLED before the class")
    lines = re.sub(r"\n\n+", "\n\n", found[0])
    imports = "import numpy as np\nfrom sensor_msgs.msg import PointCloud2\n\n"
    return {"decode labels": f"```python\n{imports}{lines}\n```"}
