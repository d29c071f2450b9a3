"""The page of ``python -m icegan_jax.app`` in a browser."""

import base64
import importlib.util
import io
import os
import re
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
from icegan_jax.evaluation.calibration import NO_EXPRESSION
from tests.browser.conftest import REQUIRED
from tests.browser.page_server import Server, serve
from tests.browser.page_visit import OpenPage, PageVisit
from tests.inference.recordings import astronaut, write_pair, write_video

pytestmark = pytest.mark.slow

ANSWERS = (*EXPRESSIONS, NO_EXPRESSION)
NEUTRAL, EXPRESSION, VIDEO = "The neutral face", "The same face with an expression", "A video of a face"
# Messages of gradio's client when it closes the stream of a result.
GRADIO_ERRORS = re.compile(r"Method not implemented\.|.*/gradio_api/queue/data\?session_hash=\w+: net::ERR_ABORTED")


CAMERA = """
() => {
  const canvas = document.createElement("canvas");
  canvas.getContext("2d").fillRect(0, 0, 1, 1);
  const paint = () => { canvas.getContext("2d").fillStyle = `hsl(${performance.now() / 10} 50% 50%)`;
    canvas.getContext("2d").fillRect(0, 0, 300, 150); requestAnimationFrame(paint); };
  paint();
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(30);
  navigator.mediaDevices.enumerateDevices = async () => [{ kind: "videoinput", deviceId: "a", label: "a" }];
}
"""  # a canvas in place of the camera that the machine does not have


@pytest.fixture(scope="module")
def server(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the server, and check its exit after the last test."""
    if importlib.util.find_spec("gradio") is None:
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"gradio is not installed, and {REQUIRED} is 1")
        pytest.skip("gradio is not installed (uv sync --extra app)")
    server = serve(run_dir, tmp_path_factory.mktemp("page"))
    try:
        yield server
    finally:
        code = server.stop()
    assert (code, server.output("err")) == (0, "")  # no traceback, and no other host
    assert "the page is closed" in server.output("out")
    assert sorted(path.name for path in server.folder.iterdir()) == ["err", "out"]


OpenTab = Callable[..., PageVisit]


@pytest.fixture
def open_tab(server: Server, open_page: OpenPage) -> Iterator[OpenTab]:
    """Return a function that opens a tab of the page; check afterwards for errors and requests to other hosts."""
    visits = []

    def open_at(tab: str, width: int = 1280, dark: bool = False) -> PageVisit:
        visit = open_page(server.address, width, dark)
        visits.append(visit)
        visit.page.get_by_role("tab", name=tab).click()
        return visit

    yield open_at
    for visit in visits:
        assert [text for text in visit.errors if not GRADIO_ERRORS.fullmatch(text)] == []
        other_hosts = [url for url in visit.requests if not url.startswith((server.address, "data:", "blob:"))]
        assert other_hosts == []


def tab_panel(visit: PageVisit) -> Locator:
    """Return the panel of the open tab."""
    return visit.page.locator("[role=tabpanel]:visible")


def upload(visit: PageVisit, label: str, path: Path) -> None:
    """Upload a file and wait until the page shows the file."""
    block = tab_panel(visit).locator(".block", has_text=label)
    block.locator("input[type=file]").set_input_files(path)
    if label == VIDEO:
        block.get_by_text(path.stem).first.wait_for(state="attached")
        return
    picture = block.locator("img").first
    picture.wait_for(state="attached")
    # The server may still send the picture: a page that is closed meanwhile removes the file that is being sent.
    picture.evaluate("image => image.complete || new Promise(end => { image.onload = image.onerror = end })")


def click(visit: PageVisit, button: str) -> Locator:
    """Click a button and wait for a result or an error message."""
    tab_panel(visit).get_by_role("button", name=button, exact=True).click()
    actual = tab_panel(visit).locator(".result, .problem")
    actual.wait_for(timeout=60_000)
    return actual


def decode_pixels(address: str) -> np.ndarray:
    """Return uint8[h, w, 3] of an embedded picture."""
    kind, _, content = address.partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        return np.asarray(picture.convert("RGB"))


def face_pixels(result: Locator) -> list[np.ndarray]:
    """Return the synthesized faces."""
    links = result.locator("a[download$='.png']").all()
    return [decode_pixels(str(link.get_attribute("href"))) for link in links]


def changed_face_pixels(result: Locator, before: list[np.ndarray]) -> list[np.ndarray]:
    """Wait until the faces differ from ``before`` and no longer change, and return them."""
    deadline, last = time.monotonic() + 30, before
    while True:
        faces = face_pixels(result)
        if not same(faces, before) and same(faces, last):
            return faces
        assert time.monotonic() < deadline
        last = faces
        time.sleep(0.2)


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_pair(open_tab: OpenTab, tmp_path: Path) -> None:
    visit = open_tab("Two pictures")
    assert "No lie detector" in visit.page.inner_text("body")
    assert "Scores on people that the networks were not trained on: UF1 0." in visit.page.inner_text("body")
    onset, apex = write_pair(tmp_path)
    upload(visit, NEUTRAL, onset)
    upload(visit, EXPRESSION, apex)
    result = click(visit, "Recognize")
    assert result.locator(".class").inner_text() in ANSWERS
    lengths = [float(text) for text in result.locator(".bars b").all_inner_texts()]
    assert len(lengths) == 3 and result.locator(".bars .best b").inner_text() == f"{max(lengths):.2f}"
    assert result.locator("img").count() == 4  # the onset twice: beside the apex and over it
    assert visit.empty_pictures() == []
    link = result.get_by_role("link", name="Save as one picture")
    assert decode_pixels(str(link.get_attribute("href"))).shape[1] > 800


def test_a_video(open_tab: OpenTab, tmp_path: Path) -> None:
    visit = open_tab("A clip")
    upload(visit, VIDEO, write_video(tmp_path / "film.avi", fps=40))
    result = click(visit, "Recognize")
    assert result.locator(".class").inner_text() in ANSWERS
    assert "Filmed at 40 frames per second" in result.locator(".flags").inner_text()
    assert "apex 0.10 s" in result.inner_text()
    size = "async video => { await video.play(); return [video.videoWidth, video.videoHeight] }"
    assert result.locator("video").evaluate(size) == [480, 520]


def test_a_recording_of_the_camera_is_the_clip(open_tab: OpenTab) -> None:
    visit = open_tab("A clip")
    visit.page.evaluate(CAMERA)
    visit.page.get_by_text("Record with a camera").click()
    tab_panel(visit).get_by_text("Click to Access Webcam").first.click()
    tab_panel(visit).get_by_text("Record", exact=True).first.click()
    visit.page.wait_for_timeout(1000)
    tab_panel(visit).get_by_text("Stop", exact=True).first.click()
    tab_panel(visit).get_by_text("sample").first.wait_for()
    assert click(visit, "Recognize").inner_text().startswith("sample.webm: no face in onset 0")


@pytest.mark.parametrize(
    ("tab", "example"), [("Two pictures", "surprise"), ("A clip", "positive"), ("Synthesis", "face 2")]
)
def test_an_example_is_answered_in_every_session(open_tab: OpenTab, tab: str, example: str) -> None:
    for _ in range(2):  # the files of the first session are removed at its end
        visit = open_tab(tab)
        expect(click(visit, example)).to_have_class("result")
        assert visit.empty_pictures() == []
        visit.page.close()


def test_a_message_goes_when_the_cause_is_mended(open_tab: OpenTab, tmp_path: Path) -> None:
    visit = open_tab("Two pictures")
    onset, apex = write_pair(tmp_path)
    upload(visit, NEUTRAL, onset)
    assert click(visit, "Recognize").inner_text() == "Drop the face with an expression first."
    upload(visit, EXPRESSION, apex)
    expect(tab_panel(visit).locator(".problem")).to_have_count(0)
    assert click(visit, "Recognize").locator(".class").inner_text() in ANSWERS
    tab_panel(visit).get_by_label("Remove Image").first.click()
    expect(tab_panel(visit).locator(".result")).to_have_count(0)


def test_synthesis_and_sliders(open_tab: OpenTab, tmp_path: Path) -> None:
    visit = open_tab("Synthesis")
    path = tmp_path / "photo.png"
    Image.fromarray(skimage.data.astronaut()[:260, 110:350]).save(path)
    upload(visit, "A neutral face", path)
    result = click(visit, "Synthesize")
    assert result.locator("h3").all_inner_texts() == list(EXPRESSIONS) and "Synthetic" in result.inner_text()
    first = face_pixels(result)
    assert [face.shape for face in first] == [(320, 320, 3)] * 3 and visit.empty_pictures() == []
    assert np.ptp(first[0].astype(int), axis=2).max() > 50  # in colour
    assert result.get_by_role("link", name="Save").count() == 6  # of each class the face and the animation

    visit.page.get_by_role("slider", name="Intensity").focus()
    visit.page.keyboard.press("Home")
    unchanged = changed_face_pixels(result, first)
    assert all((face == unchanged[0]).all() for face in unchanged[1:])
    assert all(np.abs(face.astype(int) - unchanged[0]).max() > 0 for face in first)
    visit.page.keyboard.press("End")
    strong = changed_face_pixels(result, unchanged)
    visit.page.get_by_role("slider", name="Noise").focus()
    visit.page.keyboard.press("ArrowRight")
    other = changed_face_pixels(result, strong)
    visit.page.get_by_label("the whole picture").click()
    assert changed_face_pixels(result, other)[0].shape == (260, 240, 3)


def test_the_neutral_face_of_the_first_tab_is_reused(open_tab: OpenTab, tmp_path: Path) -> None:
    visit = open_tab("Two pictures")
    onset, _ = write_pair(tmp_path)
    upload(visit, NEUTRAL, onset)
    visit.page.get_by_role("tab", name="Synthesis").click()
    tab_panel(visit).locator(".block", has_text="A neutral face").locator("img").wait_for()
    assert len(face_pixels(click(visit, "Synthesize"))) == 3


def test_an_error_is_one_line(open_tab: OpenTab, tmp_path: Path) -> None:
    onset, _ = write_pair(tmp_path)
    broken, other, gray = tmp_path / "broken.png", tmp_path / "other.png", tmp_path / "gray.png"
    broken.write_bytes(b"no picture")
    cv2.imwrite(str(other), astronaut()[:200, :200])
    cv2.imwrite(str(gray), np.full((60, 60), 128, np.uint8))
    messages = []
    for first, second in ((onset, None), (onset, broken), (onset, other), (gray, gray)):
        visit = open_tab("Two pictures")
        upload(visit, NEUTRAL, first)
        if second is not None:
            upload(visit, EXPRESSION, second)
        messages.append(click(visit, "Recognize").inner_text())
    assert messages[0] == "Drop the face with an expression first."
    assert messages[1].startswith("broken.png: not a readable image")
    assert messages[2].startswith("other.png: is 200x200, the onset onset.png 240x260;")
    assert messages[3].startswith("gray.png: no face in onset 0")


def test_a_file_that_was_removed_meanwhile(open_tab: OpenTab, server: Server, tmp_path: Path) -> None:
    visit = open_tab("Synthesis")
    onset, _ = write_pair(tmp_path)
    upload(visit, "A neutral face", onset.rename(tmp_path / "gone.png"))
    loaded = "[...document.images].some(i => i.src.includes('gone.png') && i.complete && i.naturalWidth > 0)"
    visit.page.wait_for_function(loaded)  # The server must have sent the file before it is removed.
    (uploaded,) = [path for path in server.uploads() if path.name == "gone.png"]
    uploaded.unlink()
    assert click(visit, "Synthesize").inner_text() == "gone.png was removed meanwhile; drop it again."


def test_uploads_are_removed_with_their_session(open_tab: OpenTab, server: Server, tmp_path: Path) -> None:
    visit = open_tab("Two pictures")
    onset, _ = write_pair(tmp_path)
    upload(visit, NEUTRAL, onset.rename(tmp_path / "goes.png"))
    assert [path.name for path in server.uploads() if path.name == "goes.png"] == ["goes.png"]
    visit.page.close()
    deadline = time.monotonic() + 20
    while any(path.name == "goes.png" for path in server.uploads()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_window(open_tab: OpenTab, dark: bool, tmp_path: Path) -> None:
    visit = open_tab("Two pictures", width=390, dark=dark)
    onset, apex = write_pair(tmp_path)
    upload(visit, NEUTRAL, onset)
    upload(visit, EXPRESSION, apex)
    click(visit, "Recognize")
    assert visit.overflow() == 0
    back = visit.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (max(back[:3]) < 60) is dark


def test_unused_features_of_gradio_are_off(open_tab: OpenTab) -> None:
    visit = open_tab("Two pictures")
    expect(visit.page.locator("footer")).to_have_count(0)
    switches = (
        "[gradio_config.run_history, gradio_config.analytics_enabled]"  # the history in the browser, the telemetry
    )
    assert visit.page.evaluate(switches) == [False, False]
    interface = visit.page.request.get(f"{visit.page.url}gradio_api/info").json()
    assert interface == {"named_endpoints": {}, "unnamed_endpoints": {}}
