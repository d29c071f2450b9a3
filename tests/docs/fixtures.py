"""A folder with all inputs of the commands on the pages, except for the outputs of other commands."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from tests.data.conftest import HEADER, smiling
from tests.data.databases.write_files import write_xlsx
from tests.data.fabricated_casme2 import build_casme2
from tests.data.fabricated_databases import write_official
from tests.data.fabricated_samm import build_samm
from tests.data.fabricated_smic import build_smic
from tests.docs.pages import ROOT, Command
from tests.inference.recordings import astronaut, frames, write_folder, write_pair, write_video
from tests.videos import write_test_video

SIZE = 32  # pixels on a side of a prepared face: the smallest that the networks accept
_REPOSITORY = ("configs", "experiments", "benchmarks", "tests", "pyproject.toml", "requirements.txt", "constraints.txt")
_PEOPLE = ("anna", "bob", "carl")
_CLASSES = ("negative", "happiness", "surprise")
_SCALE = 0.5  # of the frames of the fabricated databases; the patched detector finds their face of 50 pixels


def build(folder: Path) -> None:
    """Write the inputs of a user: pictures, videos, clips, and fabricated databases of full size."""
    for name in _REPOSITORY:
        (folder / name).symlink_to(ROOT / name)
    write_pair(folder)
    cv2.imwrite(str(folder / "neutral.png"), cv2.cvtColor(skimage.data.astronaut()[:260, 110:350], cv2.COLOR_RGB2BGR))
    (folder / "faces").mkdir()
    for name in ("one.png", "two.png"):
        cv2.imwrite(str(folder / "faces" / name), astronaut())
    write_folder(folder / "frames")
    write_video(folder / "film.mp4", codec="mp4v")
    _write_interview(folder / "interview.mp4")
    _write_clips(folder)
    for name in ("onset", "apex"):
        gray = cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        np.save(folder / f"{name}.npy", cv2.resize(gray, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
    _write_databases(folder)


def producer_of(name: str, commands: Sequence[Command]) -> Command | None:
    """Return the first command that writes the prepared folder, run or export of that name."""
    return next((command for command in commands if _produces(command, name)), None)


def _produces(command: Command, name: str) -> bool:
    program = next((word for word in command.words if word.startswith("icegan_jax.")), "")
    if program == "icegan_jax.prepare":
        return {"--source=clips", f"--out={name}"} <= set(command.words)
    if program == "icegan_jax.export":
        return f"--out={name}" in command.words
    return program == "icegan_jax.main" and f"--workdir={name}" in command.words


def _write_interview(path: Path) -> None:
    """Write a video of four seconds: a face at rest that smiles once, for a third of a second."""
    fps, smiles = 60, {120 + i: strength for i, strength in enumerate(np.sin(np.linspace(0, np.pi, 20)))}
    still = astronaut()
    frames = [smiling(still, float(smiles[i])) if i in smiles else still for i in range(4 * fps)]
    write_test_video(path, frames, fps)


def _write_clips(folder: Path) -> None:
    """Write clips.csv: three people with a clip of each class; one clip has no apex, one is a video."""
    rows = [HEADER]
    for person in _PEOPLE:
        for label in _CLASSES:
            frames_folder = f"clips/{person}/{label}"
            write_folder(folder / frames_folder)
            apex = "" if (person, label) == ("anna", "surprise") else "14"
            rows.append(f"mine,{person},{label},{label},{frames_folder},10,{apex},16")
    write_video(folder / "clips/bob/happiness.avi")
    rows[rows.index("mine,bob,happiness,happiness,clips/bob/happiness,10,14,16")] = (
        "mine,bob,happiness,happiness,clips/bob/happiness.avi,0,4,6"
    )
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")


def _write_databases(folder: Path) -> None:
    """Write CASME2, SAMM and SMIC, all in MEGC too, the organizers' list, and DEMO of add-a-database.md."""
    images = []
    for i, frame in enumerate(frames()):
        images.append(folder / f"small{i}.jpg")
        cv2.imwrite(str(images[-1]), cv2.resize(frame, None, fx=_SCALE, fy=_SCALE, interpolation=cv2.INTER_AREA))
    for name, build_database in (("CASME2", build_casme2), ("SAMM", build_samm), ("SMIC", build_smic)):
        build_database(folder / "MEGC" / name, images=images)
        (folder / name).symlink_to(f"MEGC/{name}")
    write_official(folder / "combined_3class_gt.csv")
    clip = folder / "DEMO" / "p01" / "smile_1"
    clip.mkdir(parents=True)
    for number, frame in enumerate(frames(), start=1):
        cv2.imwrite(str(clip / f"{number:04d}.png"), frame)
    header = ("Person", "Clip", "Start", "Peak", "End", "Feeling")
    write_xlsx(folder / "DEMO" / "demo_labels.xlsx", [header, ("01", "smile_1", 1, 5, 7, "Happiness")])
