"""Chromium plays the videos that the commands write."""

from pathlib import Path

import numpy as np
import pytest

from icegan_jax.inference.inputs import open_video
from icegan_jax.inference.media import COMPOSITE, ProvenanceMetadata, encode_sequence
from icegan_jax.inference.visualize import annotate_video
from tests.browser.page_visit import OpenPage
from tests.inference.recordings import frames
from tests.videos import write_test_video

pytestmark = pytest.mark.slow

PLAY = """
async () => {
  const video = document.querySelector("video");
  const ended = new Promise((resolve) => { video.onended = resolve; video.onerror = resolve; });
  await video.play();
  await ended;
  return [video.videoWidth, video.videoHeight, video.currentTime, video.error && video.error.message];
}
"""


@pytest.mark.parametrize("kind", ["annotated copy", "synthesized sequence"])
def test_chromium_plays_the_mp4(open_page: OpenPage, tmp_path: Path, kind: str) -> None:
    path, pictures = tmp_path / "video.mp4", frames()
    if kind == "annotated copy":  # with a gap of 5 frames
        recording = write_test_video(tmp_path / "film.avi", pictures, fps=25, positions=[0, 1, 2, 8, 9, 10, 11])
        annotate_video(open_video(recording, None), path, [])
        width, height, seconds = 480, 520, 12 / 25
    else:
        colors = [np.dstack([picture] * 3)[:-1, :-1] for picture in pictures]  # odd sides
        provenance = ProvenanceMetadata(COMPOSITE, "Synthetic", {})
        path.write_bytes(encode_sequence(colors, ".mp4", 10.0, provenance, None, colors[0]))
        width, height, seconds = 240, 260, 0.7
    (tmp_path / "page.html").write_text('<!doctype html><video src="video.mp4" muted></video>')
    visit = open_page((tmp_path / "page.html").as_uri())
    result = visit.page.evaluate(PLAY)
    print(f"{kind}: {path.stat().st_size} bytes; videoWidth, videoHeight, currentTime, error: {result}")
    assert result == [width, height, pytest.approx(seconds, abs=0.02), None] and visit.errors == []
