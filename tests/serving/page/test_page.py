"""The page for people, in a real browser: what it shows, what it sends, and that nothing leaves the service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.any_modality import CHANNEL_NAMES, make_encoder
from helpers.tiny_onnx import make_sum_onnx
from live_service import LiveService
from playwright.sync_api import Browser, Page, expect
from tiny_service import make_info

from thresher.evaluation.statistics import Interval, exactly
from thresher.evaluation.verdict import Judged, Verdict
from thresher.serving.core.bundle import CARD_FILE, VERDICT_FILE, Bundle

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

CARD = "# shapes\n\nA **bold** word, <script>window.broken = true</script> and `code`.\n"


class Watched:
    """A page, and what it asked for, complained of and broke at."""

    def __init__(self, browser: Browser, service: LiveService, **options: Any) -> None:
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page: Page = browser.new_context(viewport={"width": 1100, "height": 900}, **options).new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.page.goto(f"http://{service.address}/")
        expect(self.page.get_by_role("tab").first).to_be_visible()


@pytest.fixture(scope="module", params=["image", "text", "tabular", "series"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, LiveService]]:
    encoder = make_encoder(request.param)
    onnx_file = make_sum_onnx(encoder.model_input, len(encoder.class_names))
    service = LiveService(Bundle(onnx_file, encoder, make_info(), {CARD_FILE: CARD.encode()}))
    yield request.param, service
    service.close()


@pytest.fixture
def watched(browser: Browser, served: tuple[str, LiveService]) -> Iterator[Watched]:
    watched = Watched(browser, served[1])
    yield watched
    watched.page.context.close()


def give_input(page: Page, modality: str) -> None:
    if modality == "image":
        pad = page.locator("canvas").first.bounding_box()
        assert pad
        page.mouse.move(pad["x"] + 30, pad["y"] + 30)
        page.mouse.down()
        page.mouse.move(pad["x"] + 90, pad["y"] + 120, steps=8)
        page.mouse.up()
    elif modality == "text":
        page.get_by_role("textbox").fill("how many feet in a mile")
        page.get_by_role("button", name="Predict").click()
    elif modality == "tabular":
        page.get_by_role("button", name="Typical values").click()
    else:
        page.get_by_role("button", name="Example").click()


def test_it_shows_the_models_answer_and_what_mattered(watched: Watched, served: tuple[str, LiveService]) -> None:
    page, (modality, _) = watched.page, served
    with page.expect_response("**/predict") as answered:
        give_input(page, modality)
    given = answered.value.json()["predictions"][0]
    answer = page.locator("#answer")
    expect(answer.locator(".headline")).to_contain_text(given["label"])
    for name, probability in given["probabilities"].items():
        expect(answer).to_contain_text(name)
        expect(answer).to_contain_text(f"{100 * probability:.1f}")
    expect(answer).to_contain_text("ms")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#mattered")).to_contain_text("What mattered")
    if modality == "series":  # channels are called what the data calls them
        for name in CHANNEL_NAMES:
            expect(page.locator("#mattered")).to_contain_text(name)
            expect(page.locator("#input .hint")).to_contain_text(name)
        expect(page.locator("svg.plot title").first).to_have_text(CHANNEL_NAMES[0])
    assert watched.wrong == []


def test_nothing_leaves_the_service(watched: Watched, served: tuple[str, LiveService]) -> None:
    give_input(watched.page, served[0])
    expect(watched.page.locator("#answer")).to_contain_text("%")
    home = f"http://{served[1].address}/"
    assert [url for url in watched.asked if not url.startswith((home, "data:", "blob:"))] == []
    policy = served[1].client.get("/ui").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_card_is_text_whatever_stands_in_it(watched: Watched) -> None:
    expect(watched.page.locator("#about")).to_contain_text("<script>window.broken = true</script>")
    assert watched.page.evaluate("window.broken") is None
    expect(watched.page.locator("#about strong")).to_have_text("bold")


@pytest.fixture(scope="module")
def shapes(bundle: Bundle) -> Iterator[LiveService]:
    service = LiveService(replace(bundle, attachments={CARD_FILE: CARD.encode()}))
    yield service
    service.close()


def test_the_verdict_names_every_candidate_with_its_figures_and_its_reason(browser: Browser, bundle: Bundle) -> None:
    def figures(accuracy: float, drop: Interval, size: int, milliseconds: float) -> dict[str, Interval]:
        exact = {"accuracy": accuracy, "size_bytes": size, "macs": 7584, "latency_ms_p50": milliseconds}
        return {"accuracy_drop": drop, **{name: exactly(value, 0.95) for name, value in exact.items()}}

    half = figures(0.9013, Interval(value=0.0012, lower=-0.0047, upper=0.0023, confidence=0.95), 141_500, 0.0464)
    judged = (
        Judged(
            candidate="float", metrics=figures(0.9025, exactly(0, 0.95), 249_160, 0.05), qualifies=True, reason="slow"
        ),
        Judged(candidate="half", metrics=half, qualifies=True, wins=True, reason="1.16x as fast as float"),
        Judged(candidate="broken", metrics={}, qualifies=False, reason="<conv1> has no channels left"),
    )
    moments = ("2026-11-22T01:00:00+00:00", "2026-11-23T01:00:00+00:00")
    verdict = Verdict(
        recipe="shapes", task="classification", minimize="latency_ms_p50", candidates=judged, winner="half",
        machine={"processor": "a fast one"}, measured=moments, num_test_samples=10_000,
    )  # fmt: skip
    service = LiveService(replace(bundle, attachments={VERDICT_FILE: verdict.model_dump_json().encode()}))
    watched = Watched(browser, service)
    page = watched.page
    page.get_by_role("tab", name="Verdict").click()
    rows = page.locator("#about tbody tr")
    expect(rows).to_have_count(3)
    assert [row.split("\t")[0] for row in rows.all_inner_texts()] == ["float", "half", "broken"]
    won, broken = rows.nth(1), rows.nth(2)
    for words in (
        "0.9013",
        "+0.0012 [\u22120.0047, +0.0023]",
        "141.5 kB",
        "0.0464 ms",
        "wins",
        "1.16x as fast as float",
    ):
        expect(won).to_contain_text(words)
    expect(broken).to_contain_text("fails")
    expect(broken).to_contain_text("<conv1> has no channels left")
    expect(page.locator("#about")).to_contain_text("10,000 test samples (2026-11-22 to 2026-11-23)")
    assert not watched.wrong
    page.context.close()
    service.close()


def test_an_image_is_uploaded_and_a_wrong_one_refused_in_words(
    browser: Browser, shapes: LiveService, tmp_path: Path
) -> None:
    from PIL import Image

    watched = Watched(browser, shapes)
    Image.fromarray(np.full((8, 6), 200, np.uint8)).save(tmp_path / "right.png")
    (tmp_path / "wrong.png").write_bytes(b"no picture")
    chooser = watched.page.locator("input[type=file]").first
    chooser.set_input_files(tmp_path / "right.png")
    expect(watched.page.locator("#answer")).to_contain_text("%")
    chooser.set_input_files(tmp_path / "wrong.png")
    expect(watched.page.get_by_role("alert")).not_to_be_empty()
    watched.page.context.close()


def test_it_is_usable_by_keyboard_alone(browser: Browser, shapes: LiveService) -> None:
    watched = Watched(browser, shapes)
    page = watched.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the input")).to_be_focused()
    reached = set()
    for _ in range(15):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"predict", "explain"} <= reached
    page.locator("canvas").first.focus()
    for key in ("ArrowRight", "ArrowDown", "Space", "ArrowDown", "ArrowDown", "Space"):
        page.keyboard.press(key)
    page.locator("#predict").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("%")
    expect(page.get_by_role("status")).not_to_be_empty()
    page.context.close()


def test_light_and_dark_differ_and_both_can_be_read(browser: Browser, shapes: LiveService) -> None:
    def lightness(text: str) -> float:
        return float(np.mean([int(part) for part in text[text.index("(") + 1 : -1].split(",")[:3]]))

    seen = {}
    for scheme in ("light", "dark"):
        watched = Watched(browser, shapes, color_scheme=scheme)
        paper = watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
        ink = watched.page.evaluate("getComputedStyle(document.querySelector('h1')).color")
        seen[scheme] = lightness(paper)
        assert abs(lightness(paper) - lightness(ink)) > 120
        watched.page.context.close()
    assert seen["light"] > 200
    assert seen["dark"] < 60


def test_on_a_phone_nothing_is_cut_off(browser: Browser, shapes: LiveService) -> None:
    watched = Watched(browser, shapes)
    watched.page.set_viewport_size({"width": 380, "height": 800})
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 380
    watched.page.context.close()


def test_a_service_that_has_gone_is_said(browser: Browser, bundle: Bundle) -> None:
    service = LiveService(bundle)
    watched = Watched(browser, service)
    service.close()
    watched.page.get_by_role("button", name="Predict").click()
    expect(watched.page.get_by_role("alert")).to_contain_text("cannot be reached")
    watched.page.context.close()


def test_an_explanation_of_a_sure_answer_says_so_and_shows_digits(browser: Browser) -> None:
    encoder = make_encoder("tabular")
    service = LiveService(Bundle(make_sum_onnx(encoder.model_input, 3), encoder, make_info()))
    watched = Watched(browser, service)
    page = watched.page
    told = {"target": "low", "probability": 0.999999, "num_copies": 3, "importance": [], "method": "occlusion"}
    parts = [{"name": "age", "importance": 0.0000021}, {"name": "job", "importance": -0.0000004}]
    shown = page.evaluate(
        """async ([told, parts]) => {
            const { showMattered } = await import("./ui/result.js");
            return showMattered(told, parts, 5).map((element) => element.innerText).join("\\n");
        }""",
        [told, parts],
    )
    assert "No part by itself changes this answer" in shown
    assert "+0.00021" in shown
    assert "\u22120.00004" in shown
    page.context.close()
    service.close()
