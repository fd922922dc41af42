"""The page in a real Chromium, opened from a file: picture, counts, switches, clicks; no error and no request."""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import handmade
import numpy as np
import pytest
from displayed import KINDS, PT, RADII, displayed_event
from helices import along
from matplotlib.image import imread

from exatrkx.events.event import Event
from exatrkx.fitting.tracks import fit_tracks
from exatrkx_client.event_page import event_page
from exatrkx_client.event_scene import colours, scene_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from exatrkx.events.event import IntArray

playwright = pytest.importorskip("playwright.sync_api", reason="playwright comes with exatrkx[dev]")

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="a browser comes with Debian's chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a screen and a GPU; as root it has no sandbox."""
    options = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield started
        started.close()


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens the page of an event; at the end nothing was asked of a network, and nothing complained of."""
    page = browser.new_page(viewport={"width": 760, "height": 420})
    page.set_default_timeout(300_000)  # ms: drawn without a GPU, on a busy machine
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    file = tmp_path / "event.html"

    def opened(event: Event, labels: IntArray, names: Sequence[str] = (), score: Any = None) -> Page:
        file.write_bytes(event_page(scene_of(event, labels), names, score))
        page.goto(file.as_uri())
        page.wait_for_selector("body[data-ready]")
        return page

    yield opened
    page.close()
    assert said == [file.as_uri()]


def picture(page: Page) -> Any:
    """[height,width,3] the canvas as it is seen, after a frame."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_selector("body[data-drawn]")
    return np.round(imread(io.BytesIO(page.locator("#canvas").screenshot()))[..., :3] * 255).astype(np.uint8)


def places(image: Any, colour: Sequence[int]) -> Any:
    """[n,2] x and y of the pixels of exactly that colour."""
    return np.argwhere((image == np.asarray(colour, dtype=np.uint8)).all(axis=2))[:, ::-1]


TRACKS: Final = len(KINDS) + 3
COLOURS: Final = dict(zip(KINDS, (colours(TRACKS) * 255).astype(int).tolist(), strict=False))
MISSED: Final = (0, 0, 0)
NOBODY: Final = (184, 188, 196)
LENGTHS: Final = (35, 75, 120, 180, 265, 370, 510, 680)
"""Of the ways of helices to their spacepoints, in mm."""


def seen(page: Page) -> set[int]:
    """Labels of the candidates whose colours are in the picture."""
    image = picture(page)
    return {label for label, colour in COLOURS.items() if len(places(image, colour))}


def values(page: Page) -> dict[str, str]:
    terms, numbers = (page.locator(f"#counts {tag}").all_inner_texts() for tag in ("dt", "dd"))
    return dict(zip(terms, numbers, strict=True))


def listed(page: Page) -> list[list[str]]:
    """The rows of the table of spacepoints."""
    return [row.split("\t") for row in page.locator("#details tr").all_inner_texts()[1:]]


def test_counts_are_those_of_the_event(show: Callable[..., Page]) -> None:
    event, labels = displayed_event()
    page = show(event, labels, ["e.parquet", "t.csv"])
    assert page.title() == page.locator("h1").inner_text() == "Event 7"
    assert page.locator("#files").inner_text() == "e.parquet · t.csv"
    assert values(page) == {
        "spacepoints": str(len(event)),
        "on a candidate": str(np.count_nonzero(labels >= 0)),
        "track candidates": str(len(KINDS)),
        "particles found": "1 of 3",
    }
    switches = [text.split("\n") for text in page.locator("#switches label").all_inner_texts()]
    numbers = {"found": "2", "incomplete": "2", "fake": "1", "missed": "2", "missed, others": "1"}
    unassigned = {"spacepoints on no candidate": str(np.count_nonzero(labels < 0))}
    assert dict(switches[:-1]) == numbers | unassigned
    assert page.locator("#shown").inner_text() == "7 of 8 tracks shown"


def test_each_candidate_is_seen_in_its_colour_and_goes_with_its_switch(show: Callable[..., Page]) -> None:
    page = show(*displayed_event())
    assert seen(page) == set(KINDS)
    assert len(places(picture(page), MISSED))
    for kind in ("found", "incomplete", "fake"):
        switch = page.locator(f"input[name={kind}]")
        switch.uncheck()
        assert seen(page) == {label for label, of in KINDS.items() if of != kind}
        switch.check()
    page.locator("input[name=missed]").uncheck()
    assert not len(places(picture(page), MISSED))
    page.locator("input[name='missed, others']").check()
    page.locator("input[value=match]").check()
    assert len(places(picture(page), (130, 90, 150)))


def test_the_cut_hides_what_is_below_and_nothing_of_which_it_is_not_known(show: Callable[..., Page]) -> None:
    page = show(*displayed_event())
    page.locator("#cut-slider").fill("60")  # 10^0.2 GeV
    assert page.locator("#cut-value").inner_text() == "1.58 GeV"
    of = {10: PT[0], 20: PT[1], 30: PT[2], 31: PT[2]}
    assert seen(page) == {label for label, pt in of.items() if pt > 1.58} | {40}
    page.locator("#cut-slider").fill("0")
    assert seen(page) == set(KINDS)


@pytest.mark.parametrize("label", KINDS)
def test_a_click_picks_a_candidate_and_lists_its_spacepoints(show: Callable[..., Page], label: int) -> None:
    event, labels = displayed_event()
    page = show(event, labels)
    page.get_by_role("button", name="across").click()
    pixels = places(picture(page), COLOURS[label])
    x, y = pixels[len(pixels) // 2]
    page.locator("#canvas").click(position={"x": int(x), "y": int(y)})
    assert page.locator("#details dd").first.inner_text() == f"{label}, {KINDS[label]}"
    fits = fit_tracks(event.x, event.y, event.z, labels)
    fitted = bool(np.isfinite(fits["pt"][fits["label"] == label][0]))
    assert ("fitted pT, charge" in page.locator("#details dt").all_inner_texts()) == fitted
    rows = listed(page)
    own = [row for row in rows if row[-1] != "lacks"]
    members = np.flatnonzero(labels == label)
    assert sorted(int(row[0]) for row in own) == members.tolist()
    for row in rows:
        expected = [event.x[int(row[0])], event.y[int(row[0])], event.z[int(row[0])]]
        np.testing.assert_allclose([float(number) for number in row[1:4]], expected, atol=0.051)
    lacks = {30: range(20, 24), 31: range(16, 20)}.get(label, ())
    assert [int(row[0]) for row in rows if row[-1] == "lacks"] == list(lacks)
    assert {row[-1] for row in own} == ({"noise"} if label == 40 else {"own"})
    page.keyboard.press("Escape")
    assert listed(page) == []


def test_a_click_on_a_line_between_spacepoints(show: Callable[..., Page]) -> None:
    """In the picture across the beam particle 0 goes to the right from the middle; its last piece is the longest."""
    page = show(*displayed_event())
    page.get_by_role("button", name="across").click()
    row = places(picture(page), COLOURS[10])
    last = row[:, 0].max()  # the outermost spacepoint, at RADII[-1]
    middle = row[row[:, 0] > last - 8].mean(axis=0)
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    scale = (middle[0] - box["width"] / 2) / RADII[-1]
    x = box["width"] / 2 + scale * (RADII[-1] + RADII[-2]) / 2
    page.locator("#canvas").click(position={"x": x, "y": float(middle[1])})
    assert sorted(int(row[0]) for row in listed(page)) == list(range(8))


def test_a_missed_particle_a_spacepoint_alone_and_nothing(show: Callable[..., Page]) -> None:
    page = show(*displayed_event())
    page.get_by_role("button", name="across").click()
    x, y = places(picture(page), MISSED)[0]
    page.locator("#canvas").click(position={"x": int(x), "y": int(y)})
    assert sorted(int(row[0]) for row in listed(page)) == list(range(32, 40))
    page.keyboard.press("Escape")
    pixels = places(picture(page), NOBODY)
    x, y = pixels[0]
    page.locator("#canvas").click(position={"x": int(x), "y": int(y)})
    assert len(listed(page)) == 1
    page.locator("#canvas").click(position={"x": 3, "y": 3})
    assert page.locator("#details").inner_text() == "Click a track or a spacepoint."


def test_a_candidate_by_its_number(show: Callable[..., Page]) -> None:
    page = show(*displayed_event())
    for label, rows in (("30", 8), ("99", 0), ("", 0)):
        page.locator("#find-label").fill(label)
        page.locator("#find-label").press("Enter")
        assert len(listed(page)) == rows


def test_it_turns_moves_and_zooms(show: Callable[..., Page]) -> None:
    page = show(*displayed_event())
    pictures = [picture(page)]
    for step in ("drag", "shift", "wheel"):
        page.mouse.move(300, 300)
        if step == "wheel":
            page.mouse.wheel(0, -400)
        else:
            if step == "shift":
                page.keyboard.down("Shift")
            page.mouse.down()
            page.mouse.move(360, 340, steps=3)
            page.mouse.up()
            page.keyboard.up("Shift")
        pictures.append(picture(page))
        assert (pictures[-1] != pictures[-2]).any(), step
    assert listed(page) == [], "a drag picks nothing"
    page.get_by_role("button", name="3-D").click()
    np.testing.assert_array_equal(picture(page), pictures[0])


def test_scores_colour_the_candidates(show: Callable[..., Page]) -> None:
    event, labels = displayed_event()
    page = show(event, labels, (), np.array([0.9, 0.5, 0.7, np.nan, 0.6], dtype=np.float32))
    page.locator("input[value=score]").check()
    image = picture(page)
    assert len(places(image, (60, 10, 140))), "the highest"
    assert len(places(image, (230, 159, 0))), "the lowest"
    assert page.locator(".ends").inner_text().split() == ["0.500", "0.900"]


def test_without_truth(show: Callable[..., Page]) -> None:
    event, labels = displayed_event()
    page = show(replace(event, truth=None), labels)
    assert "particles found" not in values(page)
    assert page.locator("#modes").inner_text().split() == ["candidate"]
    page.locator("input[name=candidates]").uncheck()
    assert page.locator("#shown").inner_text() == "0 of 5 tracks shown"


def test_without_truth_and_without_fits_there_is_no_cut(show: Callable[..., Page]) -> None:
    event = replace(handmade.event(2, []), truth=None)
    assert not show(event, np.zeros(2, dtype=np.int64)).locator("#cut").is_visible()


def test_without_truth_the_cut_is_on_the_fits(show: Callable[..., Page]) -> None:
    """Helices of 0.4, 1, 3 and 9 GeV, and three spacepoints that nobody fits, which stay."""
    momenta = (0.4, 1.0, 3.0, 9.0)
    ways = [
        [along(np.zeros(3), pt * np.array([np.cos(turn), np.sin(turn), 0.3]), 1.0, length)[0] for length in LENGTHS]
        for pt, turn in zip(momenta, (0.0, 1.5, 3.0, 4.5), strict=True)
    ]
    x, y, z = np.concatenate([*ways, [[40, 40, 0], [50, 30, 90], [60, 45, 20]]]).astype(np.float32).T
    labels = np.append(np.repeat(np.arange(4), len(LENGTHS)), [4] * 3)
    fits = fit_tracks(x, y, z, labels)["pt"]
    np.testing.assert_allclose(fits[:4], momenta, rtol=0.02)
    assert np.isnan(fits[4])
    page = show(Event(event_id=7, x=x, y=y, z=z), labels)
    assert page.locator("#cut").is_visible()
    for slider in (0, 35, 60, 75, 90, 100):  # 10^(slider / 50 − 1) GeV
        page.locator("#cut-slider").fill(str(slider))
        cut = 10 ** (slider / 50 - 1) if slider else 0
        assert page.locator("#cut span").first.inner_text() == f"fitted pT > {cut:.2f} GeV"
        left = sum(pt > cut for pt in momenta) + 1
        assert page.locator("#shown").inner_text() == f"{left} of 5 tracks shown"


@pytest.mark.parametrize("size", [0, 1, 2])
@pytest.mark.parametrize("factor", [1.0, np.nan])
def test_small_events_and_numbers_that_are_none(show: Callable[..., Page], size: int, factor: float) -> None:
    event = handmade.event(size, [list(range(size))])
    event = replace(event, x=(event.x * factor).astype(np.float32))
    page = show(event, np.zeros(size, dtype=np.int64))
    assert values(page)["spacepoints"] == str(size)
    page.locator("#canvas").click()
    assert picture(page).size


def test_names_of_files_are_texts(show: Callable[..., Page]) -> None:
    name = "</script><img src=x onerror=alert(1)>@event@"
    page = show(*displayed_event(), [name, "t.csv"])
    assert page.locator("#files").inner_text() == f"{name} · t.csv"
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("size", [100_000, 350_000])
def test_large_events(show: Callable[..., Page], size: int) -> None:
    random = np.random.default_rng(0)
    turn, slope = np.repeat(random.uniform((-np.pi, -3.0), (np.pi, 3.0), (size // 10, 2)), 10, axis=0).T
    radius = np.tile(np.linspace(35, 700, 10), size // 10)
    x, y, z = np.stack([radius * np.cos(turn), radius * np.sin(turn), radius * slope]).astype(np.float32)
    event = Event(event_id=7, x=x, y=y, z=z)
    labels = np.arange(size) // 10
    labels[-5:] = -1
    page = show(event, labels)
    assert values(page)["spacepoints"] == f"{size:,}"
    assert values(page)["track candidates"] == f"{size // 10:,}"
    page.locator("#find-label").fill("9998")
    page.locator("#find-label").press("Enter")
    assert sorted(int(row[0]) for row in listed(page)) == list(range(99_980, 99_990))
    pictures = [picture(page)]
    assert (pictures[0] != 255).any(axis=2).mean() > 0.1
    page.mouse.move(300, 300)
    page.mouse.down()
    page.mouse.move(360, 340, steps=3)
    page.mouse.up()
    pictures.append(picture(page))
    assert (pictures[1] != pictures[0]).any()
    assert not page.locator("input[name='spacepoints on no candidate']").is_checked(), "they would hide the tracks"
