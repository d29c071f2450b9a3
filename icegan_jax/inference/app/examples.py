"""Drawn faces that the page offers as examples, so that it can be tried without a picture of anybody."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.clips import EXPRESSIONS, read_clips
from icegan_jax.data.synthetic import draw_clips
from icegan_jax.data.video import read_frames, write_video

_SEED = 1_000_004  # far from the seeds of runs on drawn faces, whose networks would know the people
_FRAMES = 30
_RATE = 60.0  # frames per second

Paths = tuple[Path, ...]


@dataclass(frozen=True)
class Examples:
    """Files by the names of their buttons.

    Attributes:
        pairs: onset and apex.
        clips: a video.
        faces: a neutral face.
    """

    pairs: Mapping[str, Paths]
    clips: Mapping[str, Paths]
    faces: Mapping[str, Paths]


def draw_examples(folder: Path) -> Examples:
    """Draw clips of two people and write them to a folder; this takes two seconds."""
    clips = read_clips(draw_clips(folder, seed=_SEED, subjects=2, clips_per_class=1, frames=_FRAMES, progress=False))
    pairs: dict[str, Paths] = {}
    videos: dict[str, Paths] = {}
    faces: dict[str, Paths] = {}
    for clip in clips:
        if clip.subject == clips[0].subject:
            name = EXPRESSIONS[clip.label]
            onset, apex = (clip.frames / f"img{number}.png" for number in (clip.onset, clip.apex))
            pairs[name] = (onset, apex)
            videos[name] = (folder / f"{name}.mp4",)
            frames = read_frames(clip.frames, range(clip.onset, clip.offset + 1))
            write_video(videos[name][0], ((i / _RATE, frame) for i, (_, frame) in enumerate(frames)), _RATE)
    for subject in dict.fromkeys(clip.subject for clip in clips):
        first = next(clip for clip in clips if clip.subject == subject)
        faces[f"face {len(faces) + 1}"] = (first.frames / f"img{first.onset}.png",)
    return Examples(pairs, videos, faces)
