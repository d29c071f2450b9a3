"""Hair: an area around the head with strands, in one of four styles."""

from dataclasses import dataclass

import cv2
import numpy as np

from icegan_jax.data.synthetic.fields import Field, Grid, as_field, noise, smoothstep
from icegan_jax.data.synthetic.head_shape import head_outline
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
