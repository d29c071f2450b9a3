"""The features of the neutral face: hair in one of four styles, eyes, brows, lips and nostrils."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from icegan_jax.data.synthetic.fields import Field, Grid, as_field, gaussian, noise, smoothstep
from icegan_jax.data.synthetic.head_shape import SIDES, head_outline, mouth_line
from icegan_jax.data.synthetic.identity import CENTER_X, EYE_Y, Identity


@dataclass(frozen=True)
class Hair:
    """Coverage in [0, 1] of the hair in front of the face and of the hair behind, and the gray of the hair."""

    cover: Field
    behind: Field
    gray: Field


def strand_texture(grid: Grid, person: Identity, rng: np.random.Generator) -> Field:
    """Draw strands as noise of about unit deviation that runs outwards from the crown and down the sides."""
    x = grid.x - CENTER_X - 14 * np.sign(person.light_azimuth)
    y = grid.y - person.crown_y - 6
    angle = np.arctan2(x + 0 * y, np.maximum(y + 45, 4) + 0 * x)
    radius = np.sqrt(x**2 + (y + 45) ** 2)
    angle = angle + 0.05 * person.hair_wave * np.sin(radius / 9)
    table = noise(rng, (64, 1024), 4.0) + 0.8 * noise(rng, (64, 1024), 14.0)
    u = (angle / np.pi + 0.5) * 1000
    v = radius / 260 * 60
    return as_field(
        cv2.remap(
            table,
            u.astype(np.float32),
            v.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
    )


def draw_hair(grid: Grid, person: Identity, rng: np.random.Generator, shade: Field) -> Hair:
    """Draw the hair of the person's style over the head."""
    style, volume = person.hair_style, person.hair_volume
    if style == "cropped":
        volume = 2.5
    head = head_outline(person)
    center = np.array([CENTER_X, EYE_Y], np.float32)
    distance = np.linalg.norm(head - center, axis=1, keepdims=True)
    mass = grid.blur(grid.polygon(center + (head - center) * (1 + volume / distance)), 0.8)
    texture = strand_texture(grid, person, rng)
    bottom = EYE_Y + (8 if style in ("short", "cropped") else 0)
    if style == "long":
        w = person.head_half_width + volume
        curtain = np.array(
            [
                [-w, EYE_Y - 30],
                [-w - 5, person.mouth_y],
                [-w - 7, 300],
                [w + 7, 300],
                [w + 5, person.mouth_y],
                [w, EYE_Y - 30],
            ],
            np.float32,
        ) + np.array([CENTER_X, 0], np.float32)
        mass, bottom = np.maximum(mass, grid.blur(grid.polygon(curtain), 1.0)), 400.0
    mass = smoothstep(mass + 0.12 * texture * (mass > 0.02), 0.2, 0.8)  # a rough edge
    mass = mass * (1 - smoothstep(grid.y + 2.5 * texture, bottom - 10, bottom + 6))
    top = person.hairline_y - (16 if style == "receding" else 0)
    inner = person.head_half_width * (0.93 if style == "long" else 0.965)
    power = 2.3 if style == "receding" else 2.7
    part = CENTER_X + 24 * np.sin(person.texture_seed % 13)  # the hair lifts where it is parted
    top = top - 9 * np.exp(-(((grid.x - part) / 20) ** 2))
    dy = np.where(grid.y < EYE_Y, (grid.y - EYE_Y) / (EYE_Y - top), 0.0)
    window = np.abs((grid.x - CENTER_X) / inner) ** power + np.abs(dy) ** power
    edge = (window ** (1 / power) - 1) * person.head_half_width + 1.3 * texture
    cover = mass * smoothstep(edge, -2.5, 2.5)
    if style == "cropped":
        cover = cover * 0.8
    sheen = np.exp(-(((grid.y - person.crown_y - 24) / 12) ** 2)) * 0.25
    gray = person.hair_tone * (
        0.55 + 0.6 * np.clip(grid.blur(shade, 6.0), 0, 1.2) + (0.10 + 0.10 * (0.5 - person.hair_tone)) * texture + sheen
    )
    behind = mass if style == "long" else np.zeros_like(mass)
    return Hair(cover.astype(np.float32), behind, np.clip(gray, 0.015, 1).astype(np.float32))


IRIS_RADIUS = 6.0  # frame pixels: the adult iris is 11.7 mm wide


@dataclass(frozen=True)
class Eyes:
    """Both eyes: ``opening``, 1 where the eyeball is visible; its gray ``ball``; a factor ``skin`` on the skin."""

    opening: Field
    ball: Field
    skin: Field


def draw_eyes(grid: Grid, person: Identity, shade: Field) -> Eyes:
    """Draw both eyes. The eyeball is a layer of its own, as the lids move over the eyeball."""
    opening, ball = np.zeros(grid.shape, np.float32), np.full(grid.shape, 0.4, np.float32)
    skin = np.ones(grid.shape, np.float32)
    for side in SIDES:
        x0 = CENTER_X + side * person.eye_half_distance
        along = side * (grid.x - x0) / person.eye_half_width  # -1 inner corner, 1 outer corner
        along = along + 0 * grid.y
        lift = grid.y - EYE_Y + person.eye_tilt * person.eye_half_width * along
        inside = np.clip(1 - along**2, 0, None)
        skewed = np.clip(1 - (np.abs(along + 0.10 * (1 - along**2))) ** 2.3, 0, None)
        upper = -person.lid_up * skewed**0.72
        lower = person.lid_low * inside**0.8 + 0.8 * np.clip(-along - 0.7, 0, 0.3)
        depth = np.minimum(lift - upper, lower - lift)
        visible = smoothstep(depth, -0.35, 0.55) * (np.abs(along) < 1)
        dx, dy = grid.x - x0 - person.gaze, grid.y - EYE_Y + 0.9
        radius = np.sqrt(dx**2 + dy**2)
        angle = np.arctan2(dy, dx)
        streaks = 0.10 * np.sin(angle * 23 + person.texture_seed % 7) * np.sin(angle * 11)
        iris = (
            person.iris_tone
            * (1 + streaks + 0.5 * smoothstep(dy, -2, 6))
            * (1 - 0.6 * smoothstep(radius, IRIS_RADIUS - 1.8, IRIS_RADIUS))
        )
        white = (0.74 - 0.20 * np.abs(along) ** 3) * (0.6 + 0.4 * np.clip(shade, 0, 1.1))
        gray = white + (iris - white) * (1 - smoothstep(radius, IRIS_RADIUS - 0.7, IRIS_RADIUS + 0.5))
        gray = gray + (0.03 - gray) * (1 - smoothstep(radius, 2.0, 3.0))
        gray = gray * (0.52 + 0.48 * smoothstep(lift - upper, 0.0, 4.0))  # the upper lid's shadow
        gx = 2.2 * np.sin(person.light_azimuth) + x0 + person.gaze
        gray = gray + 0.75 * gaussian(grid, float(gx), EYE_Y - 3.0, 0.85, 0.85)
        caruncle = gaussian(grid, x0 - side * (person.eye_half_width - 1.5), EYE_Y + 0.8, 1.6, 1.4)
        gray = gray + (0.42 - gray) * 0.7 * caruncle
        near = np.abs(grid.x - x0) < person.eye_half_width + 6
        ball = np.where(near, gray, ball).astype(np.float32)
        opening = np.maximum(opening, visible).astype(np.float32)
        within = 1 - smoothstep(np.abs(along), 0.92, 1.12)
        lashes = np.exp(-(((lift - upper + 0.5) / 1.15) ** 2)) * within * (0.75 + 0.25 * smoothstep(along, -0.8, 0.6))
        rim = np.exp(-(((lift - lower - 0.6) / 0.8) ** 2)) * within
        fold_height = upper * 1.12 - 3.6
        fold = np.exp(-(((lift - fold_height) / 1.1) ** 2)) * (1 - smoothstep(np.abs(along - 0.08), 0.8, 1.15))
        bag = np.exp(-(((lift - lower * 1.3 - 6.5) / 2.2) ** 2)) * (1 - smoothstep(np.abs(along + 0.15), 0.5, 1.1))
        skin *= 1 - 0.80 * lashes
        skin *= (1 - 0.30 * rim) * (1 - 0.34 * person.crease * fold) * (1 - 0.13 * person.bags * bag)
    return Eyes(opening, ball, skin.astype(np.float32))


def brow_line(person: Identity, t: ArrayLike) -> Field:
    """Return the height of the brow's middle line at t, from -1 at the inner end to 1 at the outer end."""
    t = np.asarray(t)
    arch = person.brow_arch * (1 - (t - 0.25) ** 2 * 1.3)
    return as_field(person.brow_y - arch + person.brow_slope * person.brow_half_length * t)


def draw_brows(grid: Grid, person: Identity, rng: np.random.Generator) -> Field:
    """Return the coverage of the brow hairs in [0, 1]: a soft band under single strokes."""
    hairs: list[Field] = []
    band = np.zeros(grid.shape, np.float32)
    for side in SIDES:
        x0 = CENTER_X + side * (person.eye_half_distance + 1.0)

        t = side * (grid.x - x0) / person.brow_half_length
        width = person.brow_thickness * 0.5 * (1 - 0.55 * smoothstep(t, 0.0, 1.05))
        ends = smoothstep(t, -1.1, -0.75) * (1 - smoothstep(t, 0.85, 1.1))
        band = np.maximum(band, np.exp(-(((grid.y - brow_line(person, t)) / width) ** 2)) * ends)
        for _ in range(int(190 * (0.5 + person.brow_density))):
            u = float(rng.uniform(-1, 1))
            thick = person.brow_thickness * 0.5 * (1 - 0.55 * max(u, 0.0))
            v = float(rng.normal(0, 0.5)) * thick
            root = np.array([x0 + side * person.brow_half_length * u, float(brow_line(person, u)) + v])
            lean = 1.25 * (1 - (u + 1) / 2) ** 1.5 - 0.12 + 0.2 * rng.normal() + (0.25 if v > 0 else -0.1)
            length = rng.uniform(3.0, 5.5)
            tip = root + length * np.array([side * np.cos(lean), -np.sin(lean)])
            hairs.append(np.stack([root, tip]).astype(np.float32))
    strokes = grid.blur(grid.strokes(hairs), 0.3)
    cover = np.clip(0.55 * band + 0.75 * strokes, 0, 1)
    return as_field(cover * (0.55 + 0.45 * person.brow_density))


def draw_lips(grid: Grid, person: Identity, rng: np.random.Generator) -> Field:
    """Return a factor on the skin's gray: lips in two tones, the line between the lips, and the shadow below."""
    t = (grid.x - CENTER_X) / person.mouth_half_width
    line = mouth_line(person, grid.x)
    arch = np.clip(1 - t**2, 0, None)
    peak = 1 + 0.16 * np.exp(-(((np.abs(t) - 0.2) / 0.14) ** 2)) - 0.14 * np.exp(-((t / 0.1) ** 2))
    top = line - person.upper_lip * arch**0.85 * peak
    bottom = line + person.lower_lip * arch**0.75
    within = smoothstep(arch, 0.0, 0.12)
    upper = within * smoothstep(grid.y - top, -0.8, 0.8) * smoothstep(line - grid.y, -0.5, 0.5)
    lower = within * smoothstep(bottom - grid.y, -1.4, 1.2) * smoothstep(grid.y - line, -0.5, 0.5)
    wrinkles = noise(rng, grid.shape, 2.2 * grid.scale) * 0.02
    fine = np.repeat(noise(rng, (2, grid.shape[1]), 1.4 * grid.scale)[:1], grid.shape[0], 0) * 0.035
    out = 1 - upper * (1 - person.lip_tone * 0.86 - wrinkles) - lower * (1 - person.lip_tone - fine - wrinkles)
    closed = np.exp(-(((grid.y - line) / 0.95) ** 2)) * (1 - smoothstep(np.abs(t), 0.86, 1.06))
    out *= 1 - 0.68 * closed
    out *= 1 + 0.10 * np.exp(-(((grid.y - top + 1.2) / 1.0) ** 2)) * arch  # the rim above the upper lip
    out *= 1 - 0.20 * np.exp(-(((grid.y - bottom - 2.4) / 2.2) ** 2)) * arch
    for side in SIDES:
        corner = CENTER_X + side * person.mouth_half_width
        out *= 1 - 0.32 * gaussian(grid, corner, float(mouth_line(person, corner)), 2.2, 1.5)
    return as_field(out)


def draw_nostrils(grid: Grid, person: Identity) -> Field:
    """Return a factor on the skin's gray: nostrils, the edge of the wings, and the shadow under the nose."""
    half, y = person.nose_half_width, person.nose_y
    out = 1 - 0.22 * gaussian(grid, CENTER_X, y + 2.5, 0.75 * half, 2.6)
    for side in SIDES:
        out *= 1 - 0.72 * gaussian(grid, CENTER_X + side * 0.43 * half, y - 1.2, 0.21 * half, 1.5)
        edge = np.exp(-(((side * (grid.x - CENTER_X) - 1.03 * half + 0.02 * (grid.y - y + 6) ** 2) / 1.1) ** 2))
        out *= 1 - 0.26 * edge * np.exp(-(((grid.y - y + 5.5) / 5.0) ** 2))
        out *= 1 - 0.18 * gaussian(grid, CENTER_X + side * 0.8 * half, y + 0.4, 0.28 * half, 1.3)
    return as_field(out)
