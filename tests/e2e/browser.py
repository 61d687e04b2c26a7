"""Chromium, driven by playwright, for the tests that look at pages as people do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# Root has no sandbox; and nothing of the browser's own shall ask for Google's hosts.
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Debian's chromium: apt-get install chromium"
)


@contextmanager
def opened(url: str, *, scheme: str = "light") -> Iterator[tuple[Any, list[str], list[str]]]:
    """Open a page.

    Args:
        url: Of the page.
        scheme: light or dark, as the reader prefers it.

    Yields:
        Playwright's page, the errors of its console so far, and every address that it asked for.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(
            viewport={"width": 1200, "height": 900},
            color_scheme=scheme,  # pyright: ignore[reportArgumentType]
        )
        errors: list[str] = []
        addresses: list[str] = []
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: addresses.append(request.url))
        page.goto(url)
        try:
            yield page, errors, addresses
        finally:
            browser.close()
