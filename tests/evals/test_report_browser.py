"""The report in a real browser: nothing is loaded, nothing complains, nothing sticks out."""

import os
import shutil

import pytest
from evals.test_report import hostile
from evals.test_report_studies import KINDS, study

from ponder.evals.report import render

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BARE = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
]

PATIENCE = 300_000.0
"""Milliseconds: a browser starts slowly where everything else runs too."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

STICKS_OUT = """() => {
  const wide = document.documentElement.clientWidth;
  const within = (e) => e.closest('.scroll, pre') !== null;
  return [...document.querySelectorAll('body *')]
    .filter((e) => !within(e) || e.matches('.scroll, pre'))
    .filter((e) => e.getBoundingClientRect().right > wide + 1 && e.getBoundingClientRect().width > 0)
    .map((e) => e.tagName + '.' + e.getAttribute('class') + ' ' + e.textContent.slice(0, 60));
}"""

COVERED = """() => [...document.querySelectorAll('svg.figure')].flatMap((svg) => {
  const frame = svg.getBoundingClientRect();
  if (!frame.width) return [];
  return [...svg.querySelectorAll('text')].map((t) => [t, t.getBoundingClientRect()])
    .filter(([, r]) => r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top - 1 || r.bottom > frame.bottom + 1)
    .map(([t]) => t.textContent);
})"""


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with playwright.sync_playwright() as started:
        try:
            opened = started.chromium.launch(executable_path=path, args=BARE, timeout=PATIENCE)
        except playwright.Error as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no Chromium can be started: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    given = study(items=60, seeds=2, pool=16)
    trees = {o.attempt: "├─ ★ 0.0  = 36  61 tokens  " + "and so on " * 30 for o in given.outcomes}
    pages = {
        "whole": render(given, trees),
        "hostile": render(*hostile()),
        "nothing": render(KINDS["nothing"]),
        "one item": render(KINDS["one item"]),
    }
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, "utf-8")
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["whole", "hostile", "nothing", "one item"])
def test_it_opens_from_disk_and_fits(browser, files, name, width, scheme):
    said, asked = [], []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((files / f"{name}.html").as_uri())
    page.eval_on_selector_all("details", "all => all.forEach((d) => { d.open = true })")
    assert said == []
    assert asked == [(files / f"{name}.html").as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(STICKS_OUT) == []
    assert page.evaluate(COVERED) == []
    assert (
        page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") != "32px"
    )  # the sheet applies
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert ground == ("rgb(253, 252, 249)" if scheme == "light" else "rgb(23, 22, 20)")
    shown = page.evaluate(
        "[...document.querySelectorAll('svg.wide')].filter((s) => s.checkVisibility()).length"
    )
    assert (shown > 0) == (width > 800 and name in ("whole", "hostile", "one item"))
    page.close()


def test_it_can_be_printed(browser, files):
    page = browser.new_page(color_scheme="dark")
    page.set_default_timeout(PATIENCE)
    page.goto((files / "whole.html").as_uri())
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.close()
