"""A real browser for the tests of the status page: Debian's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

MISSING = "Chromium is missing: install the package chromium (apt-get install chromium) for the page's tests."


@contextmanager
def chromium() -> Iterator[Browser]:
    """Skips the test, or fails it in CI, where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        # A gate that skips what it cannot run would be green for the wrong reason.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    with sync_playwright() as playwright:
        # No sandbox: CI runs as root, and the one site that is visited is ours.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()
