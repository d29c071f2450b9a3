"""What ``python -m icegan_jax.app`` serves, used as a person would."""

import base64
import importlib.util
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import Locator, expect

from icegan_jax.data.clips import EXPRESSIONS
from tests.browser.conftest import REQUIRED
from tests.browser.serving import GUARD, Server, serve
from tests.browser.watching import OpenPage, Visit
from tests.inference.conftest import run_dir  # noqa: F401 (a fixture)
from tests.inference.moving import astronaut, write_pair, write_video

NEUTRAL, EXPRESSION, VIDEO = "The neutral face", "The same face with an expression", "A video of a face"
# What gradio's client says whenever it closes the stream on which an answer came.
OF_GRADIO = re.compile(r"Method not implemented\.|.*/gradio_api/queue/data\?session_hash=\w+: net::ERR_ABORTED")


@pytest.fixture(scope="module")
def server(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:  # noqa: F811
    """The page; that it ends well, too, is seen when the last test is done."""
    if importlib.util.find_spec("gradio") is None:
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"gradio is not installed, and {REQUIRED} is 1")
        pytest.skip("gradio is not installed (uv sync --extra page)")
    server = serve(run_dir, tmp_path_factory.mktemp("page"))
    try:
        yield server
    finally:
        code = server.end()
    assert (code, server.said("err")) == (0, "")  # no traceback, and no other host
    assert "the page is closed" in server.said("out")
    assert sorted(path.name for path in server.folder.iterdir()) == ["err", "out"]


Opened = Callable[..., Visit]


@pytest.fixture
def opened(server: Server, open_page: OpenPage) -> Iterator[Opened]:
    """Opens the page at a tab; in the end nothing was complained of, and nobody else was asked for anything."""
    visits = []

    def open_at(tab: str, width: int = 1280, dark: bool = False) -> Visit:
        visit = open_page(server.address, width, dark)
        visits.append(visit)
        visit.page.get_by_role("tab", name=tab).click()
        return visit

    yield open_at
    for visit in visits:
        assert [text for text in visit.complaints if not OF_GRADIO.fullmatch(text)] == []
        strangers = [url for url in visit.requests if not url.startswith((server.address, "data:", "blob:"))]
        assert strangers == []


def shown(visit: Visit) -> Locator:
    """What is on the open tab."""
    return visit.page.locator("[role=tabpanel]:visible")


def put(visit: Visit, label: str, path: Path) -> None:
    """Puts a file in, and waits until it is there."""
    block = shown(visit).locator(".block", has_text=label)
    block.locator("input[type=file]").set_input_files(path)
    there = block.get_by_text(path.stem) if label == VIDEO else block.locator("img")
    there.first.wait_for(state="attached")


def press(visit: Visit, button: str) -> Locator:
    """Presses a button and waits for what it brings: an answer or a problem."""
    shown(visit).get_by_role("button", name=button, exact=True).click()
    found = shown(visit).locator(".answer, .problem")
    found.wait_for(timeout=60_000)
    return found


def pixels(address: str) -> np.ndarray:
    """uint8[h, w, 3] of a picture that is in the page itself."""
    kind, _, content = address.partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        return np.asarray(picture.convert("RGB"))


def made(answer: Locator) -> list[np.ndarray]:
    """The faces, without the maps of what changed."""
    figures = answer.locator("figure").all()
    return [pixels(str(figure.locator("img").first.get_attribute("src"))) for figure in figures]


def made_anew(answer: Locator, before: list[np.ndarray]) -> list[np.ndarray]:
    """The faces, as soon as they are others and stay so."""
    end, last = time.monotonic() + 30, before
    while True:
        faces = made(answer)
        if not same(faces, before) and same(faces, last):
            return faces
        assert time.monotonic() < end
        last = faces
        time.sleep(0.2)


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_pair(opened: Opened, tmp_path: Path) -> None:
    visit = opened("Two pictures")
    assert "No lie detector" in visit.page.inner_text("body")
    onset, apex = write_pair(tmp_path)
    put(visit, NEUTRAL, onset)
    put(visit, EXPRESSION, apex)
    answer = press(visit, "Recognize")
    assert answer.locator(".class").inner_text() in EXPRESSIONS
    lengths = [float(text) for text in answer.locator(".bars b").all_inner_texts()]
    assert len(lengths) == 3 and answer.locator(".bars .best b").inner_text() == f"{max(lengths):.2f}"
    faces = [pixels(str(image.get_attribute("src"))) for image in answer.locator("img").all()]
    assert [face.shape for face in faces] == [(32, 32, 3)] * 3 and all(face.std() > 5 for face in faces[:2])
    assert visit.empty_pictures() == []
    link = answer.get_by_role("link", name="Save as one picture")
    assert pixels(str(link.get_attribute("href"))).shape[1] > 800


def test_a_video(opened: Opened, tmp_path: Path) -> None:
    visit = opened("A clip")
    put(visit, VIDEO, write_video(tmp_path / "film.avi", fps=40))
    answer = press(visit, "Recognize")
    assert answer.locator(".class").inner_text() in EXPRESSIONS
    assert "Filmed at 40 frames per second" in answer.locator(".flags").inner_text()
    assert "apex 0.10 s" in answer.inner_text()


def test_faces_are_made_and_follow_the_slider(opened: Opened, tmp_path: Path) -> None:
    visit = opened("Make faces")
    path = tmp_path / "photo.png"
    Image.fromarray(skimage.data.astronaut()[:260, 110:350]).save(path)
    put(visit, "A neutral face", path)
    answer = press(visit, "Make faces")
    captions = answer.locator("figcaption b").all_inner_texts()
    assert captions == list(EXPRESSIONS) and "Synthetic." in answer.inner_text()
    first = made(answer)
    assert [face.shape for face in first] == [(320, 320, 3)] * 3 and visit.empty_pictures() == []
    assert np.ptp(first[0].astype(int), axis=2).max() > 50  # in colour
    assert answer.get_by_role("link", name="Save").count() == 3

    visit.page.get_by_role("slider", name="Intensity").focus()
    visit.page.keyboard.press("Home")
    unchanged = made_anew(answer, first)
    assert all((face == unchanged[0]).all() for face in unchanged[1:])
    assert all(np.abs(face.astype(int) - unchanged[0]).max() > 0 for face in first)
    visit.page.keyboard.press("End")
    strong = made_anew(answer, unchanged)
    visit.page.get_by_role("slider", name="Noise").focus()
    visit.page.keyboard.press("ArrowRight")
    made_anew(answer, strong)
    visit.page.get_by_label("the whole picture").click()
    assert made_anew(answer, strong)[0].shape == (260, 240, 3)


def test_the_neutral_face_need_not_be_put_in_twice(opened: Opened, tmp_path: Path) -> None:
    visit = opened("Two pictures")
    onset, _ = write_pair(tmp_path)
    put(visit, NEUTRAL, onset)
    visit.page.get_by_role("tab", name="Make faces").click()
    shown(visit).locator(".block", has_text="A neutral face").locator("img").wait_for()
    assert len(made(press(visit, "Make faces"))) == 3


def test_what_cannot_be_read_is_told_in_a_line(opened: Opened, tmp_path: Path) -> None:
    onset, _ = write_pair(tmp_path)
    broken, other, grey = tmp_path / "broken.png", tmp_path / "other.png", tmp_path / "grey.png"
    broken.write_bytes(b"no picture")
    cv2.imwrite(str(other), astronaut()[:200, :200])
    cv2.imwrite(str(grey), np.full((60, 60), 128, np.uint8))
    told = []
    for first, second in ((onset, None), (onset, broken), (onset, other), (grey, grey)):
        visit = opened("Two pictures")
        put(visit, NEUTRAL, first)
        if second is not None:
            put(visit, EXPRESSION, second)
        told.append(press(visit, "Recognize").inner_text())
    assert told[0] == "Drop the face with an expression first."
    assert told[1].startswith("broken.png: not a readable image")
    assert told[2].startswith("other.png: is 200x200, the onset onset.png 240x260;")
    assert told[3].startswith("grey.png: no face in onset 0")


def test_a_file_that_was_removed_meanwhile(opened: Opened, server: Server, tmp_path: Path) -> None:
    visit = opened("Make faces")
    onset, _ = write_pair(tmp_path)
    put(visit, "A neutral face", onset.rename(tmp_path / "gone.png"))
    loaded = "[...document.images].some(i => i.src.includes('gone.png') && i.complete && i.naturalWidth > 0)"
    visit.page.wait_for_function(loaded)  # else the server would be sending what is removed
    (there,) = [path for path in server.uploads() if path.name == "gone.png"]
    there.unlink()
    assert press(visit, "Make faces").inner_text() == "gone.png was removed meanwhile; drop it again."


def test_a_video_that_is_too_long(opened: Opened, tmp_path: Path) -> None:
    visit = opened("A clip")
    put(visit, VIDEO, write_video(tmp_path / "film.avi"))
    visit.page.get_by_label("Frames per second").fill("0.1")
    told = press(visit, "Recognize").inner_text()
    assert told.startswith("film.avi: takes 70 s, this page reads 60 at most; give it to python -m icegan_jax.predict")


def test_what_was_put_in_goes_with_its_page(opened: Opened, server: Server, tmp_path: Path) -> None:
    visit = opened("Two pictures")
    onset, _ = write_pair(tmp_path)
    put(visit, NEUTRAL, onset.rename(tmp_path / "goes.png"))
    assert [path.name for path in server.uploads() if path.name == "goes.png"] == ["goes.png"]
    visit.page.close()
    end = time.monotonic() + 20
    while any(path.name == "goes.png" for path in server.uploads()):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone(opened: Opened, dark: bool, tmp_path: Path) -> None:
    visit = opened("Two pictures", width=390, dark=dark)
    onset, apex = write_pair(tmp_path)
    put(visit, NEUTRAL, onset)
    put(visit, EXPRESSION, apex)
    press(visit, "Recognize")
    assert visit.overflow() == 0
    back = visit.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (max(back[:3]) < 60) is dark


def test_another_host_would_be_heard() -> None:
    code = "import socket\nsocket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))\n"
    code += "socket.getaddrinfo('192.0.2.1', 9)\nsocket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    told = subprocess.run([sys.executable, "-c", GUARD + code], capture_output=True, text=True, timeout=60).stderr
    assert [line for line in told.splitlines() if line[:1].isupper() and "192.0.2.1" in line][:2] == [
        "LOOKED UP 192.0.2.1",
        "CONTACTED ('192.0.2.1', 9)",
    ]
    assert "127.0.0.1" not in told


def test_nothing_of_gradio_but_what_is_needed(opened: Opened) -> None:
    visit = opened("Two pictures")
    expect(visit.page.locator("footer")).to_have_count(0)
    switches = "[gradio_config.run_history, gradio_config.analytics_enabled]"  # a history kept by the browser, telling
    assert visit.page.evaluate(switches) == [False, False]
    interface = visit.page.request.get(f"{visit.page.url}gradio_api/info").json()
    assert interface == {"named_endpoints": {}, "unnamed_endpoints": {}}
