"""The dashboard in a real browser: no errors, no request to another host, nothing wider than the window, and the click that saves."""

from __future__ import annotations

import logging
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from limner.project import Project, open_project
from limner_dashboards.app import create_app
from limner_explain.cards import read_cards

CHROMIUM = shutil.which("chromium") or ("/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else None)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: install it to run the browser tests"),
]
PATHS = ("/", "/segments", "/segments/active_readers", "/insights", "/insights/membership")


@dataclass
class Site:
    """A served dashboard, its workspace, and what the browser complained about or asked of others."""

    address: str
    root: Path
    page: Any
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)
        self.page.wait_for_selector("#page > *")
        self.page.wait_for_load_state("networkidle")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def served(reading_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    root = tmp_path_factory.mktemp("served") / "reading"
    shutil.copytree(reading_project.workspace.root, root)
    server = make_server("127.0.0.1", 0, create_app(lambda: open_project(root)).server, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", root
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site(chromium: Any, served: tuple[str, Path]) -> Iterator[Site]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    found = Site(*served, context.new_page())
    found.page.on(
        "console",
        lambda message: found.complaints.append(message.text) if message.type in ("error", "warning") else None,
    )
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))

    def note(request: Any) -> None:
        if not request.url.startswith((found.address, "data:", "blob:")):
            found.foreign.append(request.url)

    found.page.on("request", note)
    yield found
    context.close()


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_quiet_and_stays_on_this_host(site: Site, path: str) -> None:
    site.open(path)
    assert site.complaints == []
    assert site.foreign == []
    assert site.page.title().endswith("Limner")


@pytest.mark.parametrize("path", PATHS)
def test_a_page_fits_a_small_window_in_both_languages(site: Site, path: str) -> None:
    site.page.set_viewport_size({"width": 390, "height": 844})
    for _ in range(2):
        site.open(path)
        assert site.page.evaluate("document.documentElement.scrollWidth") <= 390
        site.page.get_by_text("中文").first.click()
        site.page.wait_for_load_state("networkidle")
    assert re.search("[一-鿿]", site.page.inner_text("#page"))


def test_the_chosen_language_is_remembered(site: Site) -> None:
    site.open("/")
    site.page.get_by_text("中文").first.click()
    site.page.wait_for_selector("text=用户画像")
    site.open("/segments")
    site.page.wait_for_selector("text=已保存的人群")


def test_a_typed_condition_shows_its_size_and_its_mistakes(site: Site) -> None:
    site.open("/segments")
    with open_project(site.root).store.open() as snapshot:
        expected = snapshot.value("SELECT count(*) FROM profiles WHERE age >= 30")
    site.page.fill("#condition", "age >= 30")
    site.page.wait_for_selector(f"#measured-size:has-text('{expected:,}')")
    site.page.click("#compare")
    site.page.wait_for_selector("text=What sets them apart")
    site.page.fill("#condition", "agee >= 30")
    site.page.wait_for_selector("text=did you mean 'age'?")
    assert site.complaints == []


def test_a_typed_condition_can_be_saved(site: Site) -> None:
    site.open("/segments")
    site.page.fill("#condition", "age >= 40 and push_enabled = true")
    site.page.wait_for_selector("#new-name")
    site.page.fill("#new-name", "grown_up")
    site.page.click("#save-condition")
    site.page.wait_for_selector("h2:has-text('grown_up')")
    assert "grown_up" in open_project(site.root).segments


def test_a_card_becomes_a_segment_of_the_promised_size_once(site: Site) -> None:
    with open_project(site.root).store.open() as snapshot:
        first, second = read_cards(snapshot, "churn")[:2]
    site.open("/insights/churn")

    def ask(card: dict[str, Any]) -> None:
        site.page.locator(".insight-card", has_text=card["id"]).get_by_role("button", name="Save as segment").click()
        site.page.wait_for_selector("#segment-name")
        assert site.page.input_value("#segment-name") == card["id"].replace("-", "_")
        site.page.fill("#segment-name", "from_a_card")
        site.page.click("#confirm-save")

    ask(first)
    site.page.wait_for_selector("text=Segment from_a_card saved")
    site.page.wait_for_selector("text=Saved as from_a_card")
    assert open_project(site.root).segments["from_a_card"].segment.origin is not None
    ask(second)
    site.page.wait_for_selector("text=Not saved")
    site.page.wait_for_selector("text=exists already")
    site.page.click("#cancel-save")
    site.open("/segments/from_a_card")
    assert f"{first['size']:,}" in site.page.inner_text("#page")
    assert "as promised on the card" in site.page.inner_text("#page")
    assert site.complaints == []
    assert site.foreign == []


def test_dropped_rules_are_listed_on_demand(site: Site) -> None:
    site.open("/insights/churn")
    site.page.get_by_role("tab", name="Dropped").click()
    site.page.wait_for_selector(".ag-row")
    assert "Why it was dropped" in site.page.inner_text("#page")
    assert site.complaints == []
