import csv
import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from icegan_jax.data import crop as crop_module
from icegan_jax.data.clips import Clip, read_clips
from icegan_jax.data.crop import CropOptions, crop_clip
from icegan_jax.data.dataset import load_pairs
from icegan_jax.data.ingest import build
from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.build import BuildContext, prepare_clips, prepare_procedural
from icegan_jax.data.ingest.repairs import Repair
from icegan_jax.errors import UserError

CONTENT = ["cache", "clips.csv", "contact_sheet.png", "findings.csv", "icegan_pairs", "index.html"]
CONTENT += ["prepared.json", "repairs.csv"]


@pytest.fixture
def clip(tmp_path: Path, write_clip: Callable[..., None]) -> Clip:
    """Frames 10 to 16 of the astronaut; the expression is strongest in 14."""
    write_clip(tmp_path / "frames" / "a")
    return Clip("d", "anna", "a", 1, tmp_path / "frames" / "a", 10, 14, 16)


@pytest.fixture
def clips(clip: Clip) -> list[Clip]:
    return [replace(clip, clip=name, apex=apex) for name, apex in (("c", 14), ("a", None), ("b", 12))]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def cropped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the clips that are cropped by one worker, filled during the test."""
    names: list[str] = []

    def crop(clip: Clip, options: CropOptions) -> crop_module.ClipCrops:
        names.append(clip.clip)
        return crop_clip(clip, options)

    monkeypatch.setattr(build, "crop_clip", crop)
    return names


def test_writes_the_dataset_the_tables_and_the_summary(tmp_path: Path, clip: Clip) -> None:
    out = tmp_path / "data"
    frames = shutil.copytree(clip.frames, tmp_path / "frames" / "b")
    for path in frames.iterdir():  # a recording of its own, which looks alike
        cv2.imwrite(str(path), cv2.imread(str(path), 0) ^ 1)
    other = replace(clip, dataset="e", subject="bob", clip="b", label=0, apex=None, frames=frames)
    repairs = [
        Repair("e", "bob", "b", "offset", "17", "16", "no such frame"),
        Repair("d", "anna", "a", "onset", "9", "10", "by hand"),
    ]
    findings = [Finding("surplus", "d", "d/x", "no row", "remove it"), Finding("note", "e", "e.xlsx", "the newest one")]
    summary = prepare_clips(
        [clip, other],
        out,
        context=BuildContext(repairs, findings, ("low", "high"), "own", ("clips",)),
        workers=1,
        progress=False,
    )
    pairs = load_pairs(out)
    assert pairs.shift.tolist() == [-2, -1, 0, 1, 2] * 2
    assert pairs.onset.shape == pairs.apex.shape == (10, 128, 128)
    assert (pairs.onset[:5] == pairs.onset[0]).all() and (pairs.onset[5:] == pairs.onset[5]).all()
    assert pairs.label.tolist() == [1] * 5 + [0] * 5 and pairs.classes == ("low", "high")
    assert pairs.subject.tolist() == ["anna"] * 5 + ["bob"] * 5
    assert names(out) == CONTENT and names(tmp_path) == ["data", "frames"]
    content = json.loads((out / "prepared.json").read_text())
    assert content == json.loads(json.dumps(summary.content()))
    assert (summary.clips, summary.subjects, summary.faces_found, summary.pairs) == (2, 2, 2, 10)
    assert (content["protocol"], content["sources"], content["apex_method"]) == ("own", ["clips"], "difference")
    assert content["classes"] == {"low": 1, "high": 1}
    assert content["datasets"]["e"] == {"clips": 1, "subjects": 1, "classes": {"low": 1, "high": 0}}
    assert content["fingerprint"] == pairs.fingerprint
    assert content["versions"]["opencv-python-headless"].startswith(cv2.__version__)
    assert not {"reused", "seconds", "frames_per_second"} & set(content)
    assert summary.reused == 0 and summary.frames_per_second == pytest.approx(13 / summary.seconds)
    written = read_clips(out / "clips.csv", ("low", "high"))
    assert [replace(c, frames=c.frames.resolve()) for c in written] == [clip, replace(other, apex=14)]
    # In the order of the clips, the repairs of the annotation first.
    log = [(row["clip"], row["field"], row["new"]) for row in _rows(out / "repairs.csv")]
    assert log == [("a", "onset", "10"), ("b", "offset", "16"), ("b", "apex", "14")]
    assert summary.repairs == 3
    assert [row["message"] for row in _rows(out / "findings.csv")] == ["no row", "the newest one"]
    assert _rows(out / "findings.csv")[0] == {
        "kind": "surplus", "clip": "d", "where": "d/x", "message": "no row", "remedy": "remove it",
    }  # fmt: skip
    assert summary.findings == 2


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_workers(tmp_path: Path, clips: list[Clip]) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        prepare_clips(clips, tmp_path / name, workers=workers, progress=False)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert [row["clip"] for row in _rows(tmp_path / "two" / "clips.csv")] == ["c", "a", "b"]


def test_a_second_run_does_only_what_changed(tmp_path: Path, clips: list[Clip], cropped: list[str]) -> None:
    own = shutil.copytree(clips[2].frames, tmp_path / "frames" / "b")
    clips[2] = replace(clips[2], frames=own)
    out = tmp_path / "data"
    rigid, still = CropOptions(size=16), CropOptions(size=16, register="none")

    def again(changed: list[str], options: CropOptions) -> None:
        cropped.clear()
        summary = prepare_clips(clips, out, options=options, workers=1, progress=False)
        assert (cropped, summary.reused) == (changed, len(clips) - len(changed))
        assert len(names(out / "cache")) == len(clips)

    again(["c", "a", "b"], rigid)
    clips[:] = [replace(clip, label=2, subject="carl") for clip in clips]
    again([], rigid)
    (own / "img13.png").write_bytes((own / "img11.png").read_bytes())
    again(["b"], rigid)
    clips[0] = replace(clips[0], apex=13)
    again(["c"], rigid)
    again(["c", "a", "b"], still)
    again(["a"], replace(still, apex="middle"))  # the others' apexes are given
    del clips[:1]
    prepare_clips(clips, tmp_path / "fresh", options=still, workers=1, progress=False)
    again(["a"], still)
    assert files(out) == files(tmp_path / "fresh")
    assert names(tmp_path) == ["data", "frames", "fresh"]


@pytest.mark.parametrize("stage", ["data.ingest.build.crop_clip", "data.ingest.build.write_page"])
def test_ctrl_c_at_any_stage_loses_no_finished_clip(
    tmp_path: Path, clips: list[Clip], stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "data"
    earlier = prepare_clips(clips[:1], out, options=CropOptions(size=32), workers=1, progress=False)
    before = files(out)
    calls = iter(range(99))

    def interrupted(*args: object, **kwargs: object) -> object:
        if stage == "data.ingest.build.crop_clip" and next(calls) < 2:
            return crop_clip(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"icegan_jax.{stage}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare_clips(clips, out, workers=1, progress=False)
    assert files(out) == before and load_pairs(out).fingerprint == earlier.fingerprint
    assert names(tmp_path) == [".data.partial", "data", "frames"]
    assert names(tmp_path / ".data.partial") == ["cache"]
    reused = prepare_clips(clips, out, workers=1, progress=False).reused
    assert reused == (2 if stage == "data.ingest.build.crop_clip" else 3)
    assert names(tmp_path) == ["data", "frames"]
    prepare_clips(clips, tmp_path / "fresh", workers=1, progress=False)
    assert files(out) == files(tmp_path / "fresh")


@pytest.fixture
def damaged(tmp_path: Path, clip: Clip) -> list[Clip]:
    """Without a face, with a truncated image, with frames of two sizes, without frames."""
    made = []
    for name in ("blank", "truncated", "mixed", "gone"):
        folder = shutil.copytree(clip.frames, tmp_path / "frames" / name)
        made.append(replace(clip, subject="bob", clip=name, frames=folder))
    for path in made[0].frames.iterdir():
        cv2.imwrite(str(path), np.full((100, 100), 90, np.uint8))
    file = made[1].frames / "img14.png"
    file.write_bytes(file.read_bytes()[:2000])
    cv2.imwrite(str(made[2].frames / "img12.png"), np.full((100, 100), 90, np.uint8))
    shutil.rmtree(made[3].frames)
    return made


def test_damaged_clips_stop_with_their_names_and_the_others_are_kept(
    tmp_path: Path, clips: list[Clip], damaged: list[Clip]
) -> None:
    out = tmp_path / "data"
    with pytest.raises(UserError) as caught:
        prepare_clips([*damaged, *clips], out, workers=1, progress=False)
    message = str(caught.value)
    assert message.startswith(f"4 of 7 clips cannot be prepared: d/bob/blank ({damaged[0].frames}: no face in onset 10")
    assert "img14.png: not a readable image (" in message and "frame 12 is 100x100, the onset 240x260)" in message
    assert ") and 1 more; give frames with a frontal face, or leave such clips out with --skip_damaged" in message
    assert "\n" not in message and "gone" not in message
    assert not out.exists()
    assert prepare_clips(clips, out, workers=1, progress=False).reused == 3
    with pytest.raises(UserError, match="1 of 1 clips cannot be prepared: d/bob/gone"):
        prepare_clips(damaged[3:], out, workers=1, progress=False)
    assert load_pairs(out).clip.size > 0 and names(tmp_path) == ["data", "frames"]


def test_damaged_clips_are_left_out_on_request_and_named(
    tmp_path: Path, clips: list[Clip], damaged: list[Clip]
) -> None:
    out = tmp_path / "data"
    options = CropOptions(skip_damaged=True)
    repairs = [Repair("d", "bob", "mixed", "offset", "17", "16", "no such frame")]
    everything = [clips[0], *damaged, *clips[1:]]
    summary = prepare_clips(everything, out, context=BuildContext(repairs), options=options, workers=1, progress=False)
    assert summary.left_out == ("d/bob/blank", "d/bob/truncated", "d/bob/mixed", "d/bob/gone")
    assert (summary.clips, summary.subjects, summary.findings) == (3, 1, 4)
    assert json.loads((out / "prepared.json").read_text())["left_out"] == list(summary.left_out)
    rows = _rows(out / "findings.csv")
    assert [(row["kind"], row["clip"]) for row in rows] == [("missing", name) for name in summary.left_out]
    assert rows[0]["message"].startswith("left out: no face in onset 10")
    assert rows[0]["where"] == str(damaged[0].frames) and rows[1]["where"].endswith("img14.png")
    assert all(row["remedy"] for row in rows)
    assert [row["clip"] for row in _rows(out / "repairs.csv")] == ["a"]
    assert set(load_pairs(out).clip) == {"a", "b", "c"}
    with pytest.raises(UserError, match="4 of 4 clips cannot be prepared"):
        prepare_clips(damaged, out, options=options, workers=1, progress=False)


def test_a_full_disk_is_one_line_and_leaves_the_earlier_folder(
    tmp_path: Path, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "data"
    prepare_clips(clips[:1], out, workers=1, progress=False)
    before = files(out)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "some/file")

    def full_for_tfds(*args: object, **kwargs: object) -> None:
        raise RuntimeError("write() failed: No space left on device; writing some/file")

    write_pairs = "data.ingest.build.write_pairs"
    failures = [("data.ingest.cache.store_in_cache", full), (write_pairs, full), (write_pairs, full_for_tfds)]
    failures += [("data.ingest.build.write_summary", full)]
    failures += [("data.synthetic.write.write_clips", full)]
    for stage, fails in failures:
        with monkeypatch.context() as patch:
            patch.setattr(f"icegan_jax.{stage}", fails)
            with pytest.raises(UserError, match=r"No space left on device.*; free some space"):
                if stage.startswith("data.synthetic"):
                    prepare_procedural(out, seed=0, subjects=1, clips_per_class=1, frames=6, progress=False)
                prepare_clips(clips, out, workers=1, progress=False)
        assert files(out) == before
    assert prepare_clips(clips, out, workers=1, progress=False).reused == 3
