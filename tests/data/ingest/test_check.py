import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import CropOptions, crop_clip
from icegan_jax.data.frame_numbers import index_frames
from icegan_jax.data.ingest.annotation import Source
from icegan_jax.data.ingest.check import check_clip, check_clips, report_check
from icegan_jax.data.ingest.collect_clips import CollectedClips, collect_clips
from icegan_jax.data.video import read_frame
from tests.data.fabricate import replace_file
from tests.data.fabricated_samm import build_samm
from tests.videos import write_test_video

HEADER = "dataset,subject,clip,label,frames,onset,apex,offset"


@pytest.fixture
def samm(tmp_path: Path) -> Path:
    return build_samm(tmp_path / "SAMM_download")


def frames_of(root: Path, clip: str) -> list[Path]:
    return sorted((root / "SAMM" / clip.split("_")[0] / clip).iterdir())


def check(collected: CollectedClips, workers: int = 1, skip_damaged: bool = False) -> tuple[int, list[str]]:
    damaged, shared = check_clips(collected, workers, progress=False)
    return report_check(collected, damaged, shared, method="difference", skip_damaged=skip_damaged)


def test_a_whole_database(samm: Path) -> None:
    collected = collect_clips([Source("samm", samm)])
    assert check_clips(collected, 1, progress=False) == ([], [])
    code, lines = check(collected)
    assert code == 0
    assert lines[1].split() == ["samm", "133", "28", "92", "26", "15"]
    assert "  apex: apex outside onset..offset: the middle frame (2)" in lines
    (repair,) = [line for line in lines if "samm/028/028_4_1: 1143 -> " in line]
    assert repair.endswith(f"[{samm}/SAMM/028/028_4_1]")
    start = lines.index("left out by the protocol's rule (26)") + 1
    excluded = lines[start : lines.index("", start)]
    assert len(excluded) == 27  # the message, and every clip with this message
    assert lines[-1] == (
        "preparation would succeed: 133 of 133 clips of MEGC2019, 28 subjects, 0 errors, 0 differences, 2 repairs; "
        "nothing was written, and no face was searched"
    )


def test_every_damaged_frame_is_named_with_file_and_remedy(samm: Path) -> None:
    broken = frames_of(samm, "006_1_2")[1:3]
    replace_file(broken[0], b"")
    replace_file(broken[1], b"no image")
    larger = frames_of(samm, "028_4_1")[2]
    replace_file(larger, cv2.imencode(".jpg", np.zeros((4, 6), np.uint8))[1].tobytes())
    collected = collect_clips([Source("samm", samm)])
    damaged, _ = check_clips(collected, 1, progress=False)
    assert [f.where for f in damaged] == sorted(map(str, (*broken, larger)))
    assert {f.kind for f in damaged} == {"error"}
    assert damaged[0].clip == "samm/006/006_1_2"
    assert damaged[0].message == "is empty (0 bytes)"
    assert damaged[0].remedy == "restore the file or remove the clip"
    assert damaged[1].message == "not a readable image (no jpg, png or bmp)"
    assert damaged[2].message == "is 6x4, the clip's first frame 8x8"
    code, lines = check(collected)
    assert code == 2
    assert any(line.startswith("errors: ") and line.endswith("(3)") for line in lines)
    assert all(any(str(path) in line for line in lines) for path in (*broken, larger))
    assert lines[-1].startswith("preparation would stop: 131 of 133 clips of MEGC2019")
    code, lines = check(collected, skip_damaged=True)
    assert code == 1
    assert lines[-1].startswith("preparation would succeed with another set: 131 of 133")


@pytest.mark.parametrize(
    ("apex", "method", "kind"), [("3", "difference", "note"), ("7", "difference", "error"), ("", "difference", "error"),
                                 ("", "ratio", "error"), ("", "middle", "note")]
)  # fmt: skip
def test_a_damaged_frame_that_preparation_does_not_read_stops_nothing(
    tmp_path: Path, apex: str, method: str, kind: str
) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for n in range(12):
        cv2.imwrite(str(folder / f"{n}.png"), np.full((8, 8), n, np.uint8))
    (folder / "9.png").write_bytes(b"")
    (tmp_path / "clips.csv").write_text(f"{HEADER}\nd,a,c,anger,f,0,{apex},11\n")
    collected = collect_clips([Source("clips", tmp_path / "clips.csv")])
    ((finding,), _) = check_clips(collected, 1, progress=False, method=method)
    assert (finding.kind, finding.where) == (kind, str(folder / "9.png"))
    assert report_check(collected, [finding], method=method)[0] == (2 if kind == "error" else 0)


def test_videos_are_decoded_too(tmp_path: Path) -> None:
    write_test_video(tmp_path / "v.avi", [np.full((32, 32), 20 * n, np.uint8) for n in range(8)])
    (tmp_path / "clips.csv").write_text(f"{HEADER}\nd,a,c,anger,v.avi,1,4,7\n")
    collected = collect_clips([Source("clips", tmp_path / "clips.csv")])
    assert check(collected)[0] == 0
    (tmp_path / "v.avi").write_bytes((tmp_path / "v.avi").read_bytes()[:3000])
    ((error,), _) = check_clips(collected, 1, progress=False)
    assert (error.clip, error.where) == ("d/a/c", str(tmp_path / "v.avi"))
    assert error.message


def test_strict_changes_the_exit_code_of_the_check(samm: Path) -> None:
    shutil.rmtree(samm / "SAMM" / "006" / "006_1_2")
    collected = collect_clips([Source("samm", samm)])
    assert report_check(collected, [], method="difference")[0] == 1
    code, lines = report_check(collected, [], method="difference", strict=True)
    assert code == 2 and lines[-1].startswith("preparation would stop: 132 of 133")


def test_frames_of_16_bits_have_the_digests_of_prepare(tmp_path: Path, write_clip: Callable[..., None]) -> None:
    """One picture is brighter, so that the recording is scaled by another factor than the other pictures."""
    write_clip(tmp_path / "f")
    for number, file in index_frames(tmp_path / "f").items():
        levels = read_frame(file).astype(np.uint16) << 2
        levels[0, 0] = 4095 if number == 12 else 0
        cv2.imwrite(str(file), levels)
    clip = Clip("d", "a", "c", 0, tmp_path / "f", 10, None, 16)
    findings, digests = check_clip(clip)
    assert not findings and crop_clip(clip, CropOptions()).digests == tuple(digests)


def test_frames_of_a_clip_that_is_left_out_are_not_shared(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for n in range(4):
            cv2.imwrite(str(tmp_path / name / f"{n}.png"), np.arange(64, dtype=np.uint8).reshape(8, 8) + n)
    (tmp_path / "clips.csv").write_text(f"{HEADER}\nd,x,c,anger,a,0,,3\nd,y,c,anger,b,0,,3\n")
    collected = collect_clips([Source("clips", tmp_path / "clips.csv")])
    assert [f.kind for f in check_clips(collected, 1, progress=False)[1]] == ["shared"]
    (tmp_path / "b" / "2.png").write_bytes(b"")
    (damaged,), shared = check_clips(collected, 1, progress=False)
    assert damaged.kind == "error" and not shared
