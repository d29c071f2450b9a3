from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from icegan_jax import prepare
from icegan_jax.data import preparation
from icegan_jax.data.dataset import load_pairs

HEADER = "dataset,subject,clip,label,frames,onset,apex,offset"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A clips.csv of two clips whose frames are the astronaut, ever brighter."""
    grey = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)[0:260, 110:350]
    folder = tmp_path / "raw" / "frames"
    folder.mkdir(parents=True)
    for n in range(4):
        cv2.imwrite(str(folder / f"{n}.png"), np.clip(grey + 5 * n, 0, 255).astype(np.uint8))
    path = tmp_path / "raw" / "clips.csv"
    path.write_text(f"{HEADER}\nd,anna,a,happiness,frames,0,2,3\nd,bob,b,Anger,frames,0,1,3\n")
    return path


def test_prepares_and_says_what_and_where(tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"
    arguments = ["--source=clips", f"--raw={raw}", f"--out={out}", "--workers=1", "--size=64"]
    assert prepare.main(arguments) == 0
    said = capsys.readouterr().out
    assert "2 of 2 faces found" in said
    assert "2 clips of 2 subjects: 1 negative, 1 positive, 0 surprise" in said
    assert f"{out}/contact_sheet.png" in said
    pairs = load_pairs(out)
    assert pairs.onset.shape == (6, 64, 64)
    assert pairs.fingerprint[:12] in said
    # Again, over the earlier one.
    assert prepare.main(arguments) == 0
    assert load_pairs(out).fingerprint == pairs.fingerprint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source=clips", "--raw={tmp}/gone.csv"], "gone.csv: no such file"),
        (["--source=clips"], "--source=clips needs --raw=CLIPS.csv"),
        (["--source=clips", "--raw={raw}", "--workers=0"], "--workers=0: give 1 or more"),
        (["--source=clips", "--raw={raw}", "--size=3"], "size 3 is out of range"),
        (["--source=clips", "--raw={raw}", "--out={tmp}/raw"], "which it would replace"),
        (["--source=clips", "--raw={raw}", "--out={raw}/x"], "cannot be written"),
        (["--source=procedural", "--raw={raw}"], "--raw is not read with --source=procedural"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    tmp_path: Path,
    raw: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    filled = [a.format(tmp=tmp_path, raw=raw) for a in ["--out={tmp}/data", *arguments]]
    assert prepare.main(filled) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert message in said.err
    assert not (tmp_path / "data").exists()


def test_an_interruption_is_one_line_and_leaves_nothing(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "find_face", interrupted)
    before = set(tmp_path.iterdir())
    assert prepare.main(["--source=clips", f"--raw={raw}", f"--out={tmp_path / 'data'}", "--workers=1"]) == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: interrupted; nothing was written")
    assert set(tmp_path.iterdir()) == before


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        prepare.main(["--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert "python -m icegan_jax.prepare --source=procedural --out=" in said
    assert HEADER in said


def test_procedural_faces_take_the_same_path(tmp_path: Path) -> None:
    out = tmp_path / "data"
    arguments = ["--subjects=2", "--clips_per_class=1", "--frames=6", "--workers=1"]
    assert prepare.main(["--source=procedural", f"--out={out}", *arguments]) == 0
    pairs = load_pairs(out)
    assert (pairs.shift == 0).sum() == 6
    assert sorted(set(pairs.label.tolist())) == [0, 1, 2]
    assert (out / "raw" / "clips.csv").is_file()
