"""From the trace of a video to the events in it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.spotting.timing import MICRO_SECONDS, half_windows
from icegan_jax.data.spotting.trace import Trace

Signal = NDArray[np.float64]

_AROUND_SECONDS = 60.0
_EVERY_SECONDS = 1.0
Z = 8.0
SHARE = 0.2
LEVEL = 0.25
BACK = 1.0


@dataclass(frozen=True)
class Event:
    """An expression that was spotted.

    Attributes:
        kind: "micro", at most half a second long and gone after it, or "macro".
        onset: number of the frame in which it starts.
        apex: of the frame in which the face differs most from before and after.
        offset: of the frame in which it has ended.
        strength: contrast at the apex in units of the threshold: at least 1.
    """

    kind: str
    onset: int
    apex: int
    offset: int
    strength: float


@dataclass(frozen=True)
class _Scale:
    excess: Signal
    strength: Signal
    half: int

    def peaks(self) -> list[int]:
        """Frames of the highest strength, 1 or more, within half a window on both sides, ascending."""
        found: list[int] = []
        strength = np.where(np.isfinite(self.strength), self.strength, 0)
        for i in np.flatnonzero(strength >= 1):
            if strength[i] >= strength[max(0, i - self.half) : i + self.half + 1].max():
                if not found or i - found[-1] > self.half:
                    found.append(int(i))
        return found

    def span(self, apex: int, level: float) -> tuple[int, int]:
        """The first and last frame around the apex above ``level`` of the excess there."""
        low = level * self.excess[apex]
        above = self.excess >= low  # nan is not
        left = right = apex
        while left > 0 and above[left - 1]:
            left -= 1
        while right + 1 < len(above) and above[right + 1]:
            right += 1
        return left, right


def _scale(values, half, fps):
    values = values.astype(np.float64)
    floor, _ = _local(values, fps)
    contrast = values - _ends(values, half)
    middle, sigma = _local(contrast, fps)
    threshold = np.maximum(Z * sigma, SHARE * floor)
    return _Scale(values - floor, (contrast - middle) / threshold, half)

def _ends(values, half):
    before = np.full_like(values, np.nan); after = before.copy()
    before[half:] = values[:-half]; after[:-half] = values[half:]
    both = np.stack([before, after]); 
    return np.where(np.isnan(before), after, np.where(np.isnan(after), before, (before+after)/2))

def _local(values, fps):
    every = max(1, round(_EVERY_SECONDS * fps)); half = round(_AROUND_SECONDS / 2 * fps)
    at = np.arange(0, len(values) + every, every)
    med, dev = np.full(len(at), np.nan), np.full(len(at), np.nan)
    for j, c in enumerate(at):
        part = values[max(0, c - half) : c + half + 1]
        part = part[np.isfinite(part)]
        if part.size:
            med[j] = np.median(part)
            dev[j] = np.quantile(np.abs(part - med[j]), 0.25) / 0.3186
    i = np.arange(len(values))
    return np.interp(i, at, med), np.interp(i, at, dev)


def find_events(trace: Trace) -> list[Event]:
    micro, macro = half_windows(trace.fps)
    quick, slow = _scale(trace.change, micro, trace.fps), _scale(trace.slow, macro, trace.fps)
    last = trace.lasting.astype(np.float64); last = last - _local(last, trace.fps)[0]
    longest = MICRO_SECONDS * trace.fps
    out = []
    large = []
    for a in slow.peaks():
        l, r = slow.span(a, 0.5)
        if r - l > longest:
            large.append((*slow.span(a, LEVEL), a, slow.strength[a]))
    for a in quick.peaks():
        l, r = quick.span(a, LEVEL)
        if np.isfinite(slow.excess[a]) and slow.excess[a]>0:
            sl, sr = slow.span(a, 0.5)
            if sr - sl > longest: continue
        if last[a] >= BACK * quick.excess[a]: continue
        if r-l>longest: continue
        out.append(("micro", l, a, r, quick.strength[a]))
    for l, r, a, s in large:
        out.append(("macro", l, a, r, s))
    p = trace.position
    return [Event(k, int(p[l]), int(p[a]), int(p[r]), float(s)) for k, l, a, r, s in sorted(out, key=lambda e: e[1])]
