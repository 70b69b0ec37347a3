# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Take the pictures of docs/viewer.md: a recording in the web viewer, in a headless browser.

tools/viewer_screenshot.py out.rrd docs/images/viewer.jpg

Needs `pip install playwright` and Chromium (apt install chromium). Without a graphics card the
processor draws, for a minute or two. `concerto-ros view ... --save out.rrd` writes the recording.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from concerto_ros.viewer.outlets import web_address

#: Drawn by the processor where there is no graphics card.
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def screenshot(file: Path, picture: Path, size: tuple[int, int], wait: float, port: int) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "rerun", str(file), "--serve-web"]
        + ["--web-viewer-port", str(port), "--port", str(port + 1)],
        start_new_session=True,  # it starts another process, which is ended with it
    )
    try:
        time.sleep(2.0)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=FLAGS
            )
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.goto(web_address("localhost", port))
            time.sleep(wait)
            # A page that always draws is only taken once it lets go.
            png = page.screenshot(timeout=600_000)
            browser.close()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    Image.open(io.BytesIO(png)).convert("RGB").save(picture, quality=88)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="recording, .rrd")
    parser.add_argument("picture", type=Path, help="picture to write")
    parser.add_argument("--size", type=int, nargs=2, default=(1440, 810), help="pixels")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds until it is drawn")
    parser.add_argument("--port", type=int, default=9190)
    options = parser.parse_args()
    screenshot(options.file, options.picture, options.size, options.wait, options.port)


if __name__ == "__main__":
    main()
