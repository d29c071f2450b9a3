"""The neutral face of a person, drawn once in layers from which the frames are warped."""

from dataclasses import dataclass

import numpy as np

from icegan_jax.data.synthetic.features import draw_brows, draw_eyes, draw_hair, draw_lips, draw_nostrils
from icegan_jax.data.synthetic.fields import Field, Grid, as_field, gaussian, make_grid, noise, smoothstep
from icegan_jax.data.synthetic.head_shape import (
    SIDES,
    ear_outline,
    head_height,
    head_outline,
    inflate,
    neck_outline,
    shade_surface,
)
from icegan_jax.data.synthetic.identity import CENTER_X, EYE_Y, FRAME_HEIGHT, FRAME_WIDTH, Identity

OVERSAMPLING = 2  # texture samples per frame pixel, so that sub-pixel motion stays sharp


@dataclass(frozen=True)
class Portrait:
    """Layers in [0, 1] at OVERSAMPLING samples per frame pixel, and the background at frame size.

    ``moving`` float32[2h, 2w, 3]: skin gray, eye opening, cover of the person. ``ball``
    float32[2h, 2w]: the eyeballs. ``background`` float32[h, w].
    """

    person: Identity
    moving: Field
    ball: Field
    background: Field


def skin_reflectance(grid: Grid, person: Identity, rng: np.random.Generator) -> Field:
    """Draw the reflectance of the skin: tone, blotches, pores, freckles, and a shaved or grown beard."""
    tone = np.full(grid.shape, person.skin_tone, np.float32)
    blotch = 0.6 * noise(rng, grid.shape, 18 * grid.scale) + 0.5 * noise(rng, grid.shape, 6 * grid.scale)
    pores = noise(rng, grid.shape, 1.1 * grid.scale)
    tone *= 1 + person.mottle * (0.022 * blotch + 0.020 * pores)
    for side in SIDES:  # flushed cheeks are darker in gray
        tone *= 1 - 0.05 * gaussian(grid, CENTER_X + side * 38, EYE_Y + 34, 15, 12)
    for _ in range(person.freckles):
        x, y = rng.normal(CENTER_X, 32), rng.normal(EYE_Y + 30, 22)
        size, depth = rng.uniform(0.5, 1.1), rng.uniform(0.08, 0.28)
        tone *= 1 - depth * gaussian(grid, float(x), float(y), float(size), float(size))
    low = smoothstep(grid.y, EYE_Y + 34, person.nose_y + 12) * np.ones_like(grid.x)
    jaw = smoothstep(np.abs(grid.x - CENTER_X) / person.head_half_width + 0 * grid.y, 0.25, 0.8)
    moustache = gaussian(grid, CENTER_X, 0.45 * person.nose_y + 0.55 * person.mouth_y - 1, 17, 5)
    chin = gaussian(grid, CENTER_X, person.chin_y - 8, 24, 14)
    area = np.clip(low * jaw * smoothstep(grid.y, EYE_Y + 20, person.mouth_y) + moustache + chin, 0, 1)
    area *= 1 - gaussian(grid, CENTER_X, person.mouth_y + 2, 18, 4)
    stubble = np.clip(0.55 + 0.45 * noise(rng, grid.shape, 0.8 * grid.scale), 0, 1.4)
    tone *= 1 - 0.5 * person.beard * area * stubble
    return as_field(tone)


def draw_portrait(person: Identity) -> Portrait:
    """Draw the person's neutral face; equal persons give equal bytes."""
    rng = np.random.default_rng(person.texture_seed)
    grid = make_grid(FRAME_HEIGHT, FRAME_WIDTH, OVERSAMPLING)
    head = grid.polygon(head_outline(person))
    throat = grid.polygon(neck_outline(person))
    ears = np.maximum(grid.polygon(ear_outline(person, -1)), grid.polygon(ear_outline(person, 1)))
    z_neck = inflate(grid, throat, 30, 40, 3.0) - 34
    z_ears = inflate(grid, ears, 7, 6, 0.8) + 4
    z_head = head_height(grid, person, head)
    z = np.where(head > 0.5, z_head, np.where(ears > 0.5, z_ears, np.maximum(z_neck, -34)))
    shade = shade_surface(grid, person, grid.blur(z.astype(np.float32), 0.9))
    chin_shadow = smoothstep(grid.y, person.chin_y - 30, person.chin_y - 4) * (
        1 - smoothstep(grid.y, person.chin_y + 4, 295)
    )
    shade = np.where(head > 0.5, shade, shade * (1 - 0.45 * chin_shadow * (throat > 0.5)))
    shade = shade.astype(np.float32)
    eyes = draw_eyes(grid, person, shade)
    skin = skin_reflectance(grid, person, rng) * shade
    for side in SIDES:  # the hollow of the ear
        x = CENTER_X + side * (person.head_half_width + 3.5)
        skin *= 1 - 0.45 * gaussian(grid, x, EYE_Y + 14, 2.0, 8) * (1 - head)
    skin *= eyes.skin * draw_lips(grid, person, rng) * draw_nostrils(grid, person)
    brows = draw_brows(grid, person, rng)
    brow_gray = min(person.hair_tone, 0.55 * person.skin_tone) * (0.5 + 0.5 * np.clip(shade, 0, 1))
    skin = skin + (brow_gray - skin) * brows
    edge = grid.blur(head, 0.8)  # the head's rim is dark against neck and ears
    skin *= 1 - 0.22 * np.exp(-(((edge - 0.45) / 0.25) ** 2)) * np.maximum(throat, ears)
    hair = draw_hair(grid, person, rng, shade)
    cover = np.maximum(np.maximum(head, throat), ears)
    skin = 0.5 * hair.gray * (1 - cover) + skin * cover
    cover = np.maximum(cover, hair.behind)
    skin = skin + (hair.gray - skin) * hair.cover
    cover = np.maximum(cover, hair.cover)
    collar_y = FRAME_HEIGHT - 22 + 16 * np.exp(-(((grid.x - CENTER_X) / 30) ** 2))
    slope = collar_y + ((np.abs(grid.x - CENTER_X) - 40) / 9).clip(0) ** 1.25
    cloth = smoothstep(grid.y - slope, -0.8, 0.8)
    weave = 1 + 0.05 * noise(rng, grid.shape, 1.2 * grid.scale) + 0.08 * noise(rng, grid.shape, 14 * grid.scale)
    skin = skin + (person.clothing_tone * 0.8 * weave - skin) * cloth
    cover = np.maximum(cover, cloth)
    moving = np.stack([np.clip(skin, 0, 1.1), eyes.opening * (1 - hair.cover), cover], -1)
    frame = make_grid(FRAME_HEIGHT, FRAME_WIDTH, 1)
    wall = person.background_tone * (
        1
        + 0.10 * np.sin(person.light_azimuth) * (frame.x - CENTER_X) / CENTER_X
        + 0.05 * noise(rng, frame.shape, 60.0)
        - 0.10 * (frame.y / FRAME_HEIGHT)
    )
    return Portrait(
        person,
        grid.blur(moving.astype(np.float32), 0.4),
        grid.blur(eyes.ball, 0.3),
        wall.astype(np.float32),
    )
