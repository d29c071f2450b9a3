"""Frames that clips of two subjects share: a fold would be tested on frames that it is trained on."""

from collections import Counter
from collections.abc import Iterable, Sequence

from icegan_jax.data.clips import Clip
from icegan_jax.data.ingest.annotation import Finding

_REMEDY = "give one person one name in one database, or remove one of the two clips; main refuses such folds"


def find_shared_frames(clips: Sequence[Clip], digests: Sequence[Iterable[str]]) -> list[Finding]:
    """Return a finding for each clip that has a frame of an earlier clip of another subject or database.

    Two clips of one subject are compared, too: the same frames have one label.

    Args:
        clips: the clips.
        digests: of each clip, the digests of its frames (``images.picture_digest``).

    Returns:
        An "error" where the labels of the two clips differ, else a finding of the kind "shared".
    """
    frames = [set(of_clip) - {""} for of_clip in digests]
    first: dict[str, int] = {}
    findings = []
    for index, clip in enumerate(clips):
        counts = Counter(first.setdefault(digest, index) for digest in frames[index])
        for earlier, number in sorted(counts.items()):
            other = clips[earlier]
            is_one_subject = (other.dataset, other.subject) == (clip.dataset, clip.subject)
            if is_one_subject and (other.label == clip.label or frames[earlier] != frames[index]):
                continue
            subject = "the same" if is_one_subject else "another"
            label = "" if other.label == clip.label else ", under another label"
            message = f"shares {number} frames with {other.name} ({other.frames}), a clip of {subject} subject{label}"
            remedy = "remove the clip with the wrong label" if is_one_subject else _REMEDY
            findings.append(Finding("error" if label else "shared", clip.name, str(clip.frames), message, remedy))
    return findings
