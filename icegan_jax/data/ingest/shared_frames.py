"""Frames that clips of two subjects share: a fold would be tested on frames that it is trained on."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from icegan_jax.data.clips import Clip
from icegan_jax.data.ingest.annotation import Finding

_REMEDY = "give one person one name in one database, or remove one of the two clips; main refuses such folds"


def find_shared_frames(clips: Sequence[Clip], digests: Sequence[Iterable[str]]) -> list[Finding]:
    """Return a finding for each clip that has a frame of an earlier clip of another subject or database.

    Args:
        clips: the clips.
        digests: of each clip, the digests of its frames (``images.picture_digest``).

    Returns:
        An "error" where the labels of the two clips differ, else a finding of the kind "shared".
    """
    first: dict[str, int] = {}
    shared: dict[int, Counter[int]] = defaultdict(Counter)
    for index, clip in enumerate(clips):
        for digest in sorted(set(digests[index]) - {""}):
            earlier = first.setdefault(digest, index)
            if (clips[earlier].dataset, clips[earlier].subject) != (clip.dataset, clip.subject):
                shared[index][earlier] += 1
    findings = []
    for index, counts in shared.items():
        clip = clips[index]
        for earlier, number in counts.items():
            other = clips[earlier]
            label = "" if other.label == clip.label else ", under another label"
            frames = "1 frame" if number == 1 else f"{number} frames"
            message = f"shares {frames} with {other.name} ({other.frames}), a clip of another subject{label}"
            findings.append(Finding("error" if label else "shared", clip.name, str(clip.frames), message, _REMEDY))
    return findings
