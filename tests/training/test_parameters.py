"""Parameter counts against those computed from the layer table of docs/design.md, "Networks"."""

import jax
import pytest

from configs import demo, loso, loso_pair, released
from icegan_jax.config import build_models
from icegan_jax.training.parameters import count_discriminator, count_parameters, match_cnn_width, parameter_table
from icegan_jax.training.state import create_state

IMAGE, EMBEDDING, NOISE, CLASSES = 128, 320, 100, 3


def convolution(size: int, i: int, o: int, bias: bool = True) -> int:
    return size * size * i * o + o * bias


def generator_count(widths: list[int], colours: int = 1) -> int:
    """Seven encoder layers, graph reasoning on each of six skips, seven decoder layers with the skips as inputs."""
    down = [1, *widths, EMBEDDING]
    total = sum(convolution(4, i, o) for i, o in zip(down[:-1], down[1:], strict=True))
    # T, phi, theta and T' are 1x1 convolutions; A and W are square.
    total += sum(4 * convolution(1, c, c) + 2 * c * c for c in widths)
    outputs = widths[::-1]
    inputs = [EMBEDDING + NOISE + CLASSES, *(2 * c for c in outputs)]
    return total + sum(convolution(4, i, o) for i, o in zip(inputs, [*outputs, colours], strict=True))


def patchgan_count(widths: list[int], out: int, pictures: int = 1, batch_norm: bool = True) -> int:
    a, b, c, d, e, f = widths
    total = convolution(4, pictures, a) + convolution(4, a, b, False) + convolution(4, b, c, False)
    total += convolution(4, c, d, False) + convolution(4, d, e)
    return total + convolution(1, e, f) + convolution(1, f, out) + 2 * batch_norm * (b + c + d + e)


def capsules_count(types: int, dimension: int, adversarial: int, expression: int) -> int:
    return 8 * 8 * types * dimension * (adversarial + CLASSES * expression)


def reconstruction_count(expression: int, hidden: tuple[int, ...]) -> int:
    sizes = [CLASSES * expression, *hidden, IMAGE * IMAGE]
    return sum(convolution(1, i, o) for i, o in zip(sizes[:-1], sizes[1:], strict=True))


def counted(config: object) -> tuple[int, int, int]:
    """Parameters of the generator, the discriminator and its PatchGAN, counted in the modules."""
    models = build_models(config, steps=1)  # type: ignore[arg-type]
    state = jax.eval_shape(lambda key: create_state(models, key), jax.random.key(0))
    patchgan = {name: tree for name, tree in state.d_params.items() if name.startswith(("trunk", "norm"))}
    return count_parameters(state.g_params), count_parameters(state.d_params), count_parameters(patchgan)


FULL = [64, 128, 256, 512, 512, 512]


def test_the_paper_s_networks() -> None:
    generator = generator_count(FULL)
    patchgan = patchgan_count([64, 128, 256, 512, 512, 64], 8 * 16)
    discriminator = patchgan + capsules_count(8, 16, 256, 32) + reconstruction_count(32, (512, 1024))
    assert (generator, discriminator, patchgan) == (44_760_001, 27_244_544, 6_992_384)
    assert counted(loso.get_config()) == (generator, discriminator, patchgan)


def test_the_recommended_networks() -> None:
    generator = generator_count(FULL, colours=3)  # two directions and what is added
    patchgan = patchgan_count([64, 128, 256, 512, 512, 64], 8 * 16, pictures=2)
    discriminator = patchgan + capsules_count(8, 16, 256, 32) + reconstruction_count(32, (512, 1024))
    assert (generator, discriminator, patchgan) == (44_764_099, 27_245_568, 6_993_408)
    assert counted(loso_pair.get_config()) == (generator, discriminator, patchgan)


def test_the_demo_s_networks() -> None:
    generator = generator_count([8, 16, 32, 64, 64, 64], colours=3)
    patchgan = patchgan_count([8, 16, 32, 64, 64, 8], 4 * 16, pictures=2)
    discriminator = patchgan + capsules_count(4, 16, 32, 16) + reconstruction_count(16, (64, 128))
    assert (generator, discriminator, patchgan) == (1_367_571, 2_562_992, 110_320)
    assert counted(demo.get_config()) == (generator, discriminator, patchgan)


@pytest.mark.parametrize(("network", "total"), [("generator", "44,760,001"), ("discriminator", "27,244,544")])
def test_the_table_names_every_module_and_the_totals(network: str, total: str) -> None:
    table = parameter_table(build_models(loso.get_config(), steps=1))
    block = next(part for part in table.split("\n\n") if part.startswith(network + "\n"))
    rows = dict(line.split() for line in block.splitlines()[1:])
    assert rows.pop("total") == total
    assert sum(int(number.replace(",", "")) for number in rows.values()) == int(total.replace(",", ""))
    expected = {"generator": ("down_7", "grm_6", "up_1"), "discriminator": ("trunk_7", "adv_caps", "reconstruction_3")}
    assert set(expected[network]) <= rows.keys()


@pytest.mark.parametrize(
    ("dimension", "total"),
    [(8, 96_943_104), (32, 97_766_400)],
)
def test_the_released_discriminator(dimension: int, total: int) -> None:
    """docs/design.md, "Parameter counts"; AdvCaps is as wide as ExpCaps."""
    config = released.get_config()
    config.discriminator.expression_dimension = dimension
    config.loss.perceptual = 0.0
    patchgan = patchgan_count([64, 128, 256, 512, 512, 64], 16 * 8)
    capsules = capsules_count(16, 8, dimension, dimension)
    assert patchgan + capsules + reconstruction_count(dimension, (512, 1024, 5120)) == total
    assert count_discriminator(build_models(config, steps=1)) == total


def without_perceptual(**fields: object) -> object:
    config = loso.get_config()
    config.loss.perceptual = 0.0
    config.update_from_flattened_dict({name.replace("__", "."): value for name, value in fields.items()})
    return config


def test_the_generators_of_table_3() -> None:
    """The counts of plain skips, squeeze-and-excitation and the kinds without skips."""
    plain = generator_count(FULL) - sum(4 * convolution(1, c, c) + 2 * c * c for c in FULL)
    squeezing = sum(2 * c * (c // 16) for c in FULL)
    skipless = plain - 16 * (sum(a * b for a, b in zip(FULL[:0:-1], FULL[-2::-1], strict=True)) + FULL[0])
    down = [1, *FULL, EMBEDDING]
    encoder = sum(convolution(4, i, o) for i, o in zip(down[:-1], down[1:], strict=True))
    expected = {
        "skips": plain,
        "se": plain + squeezing,
        "encoder_decoder": skipless,
        "dcgan": skipless - encoder - 16 * EMBEDDING * FULL[-1],
        "none": 0,
    }
    assert plain == 39_517_377
    assert {kind: counted(without_perceptual(generator__kind=kind))[0] for kind in expected} == expected


def test_a_discriminator_without_capsules_has_the_requested_size() -> None:
    models = build_models(without_perceptual(discriminator__kind="cnn"), steps=1)  # type: ignore[arg-type]
    patchgan = patchgan_count([64, 128, 256, 512, 512, 64], 128)
    assert count_discriminator(models) == patchgan + convolution(4, 128, 128) + convolution(4, 128, 1 + CLASSES)
    width = match_cnn_width(models, 27_244_544)
    wide = build_models(without_perceptual(discriminator__kind="cnn", discriminator__cnn_width=width), steps=1)  # type: ignore[arg-type]
    assert count_discriminator(wide) == pytest.approx(27_244_544, rel=0.02)
    assert count_discriminator(models) < 0.3 * count_discriminator(wide)


def test_a_table_without_a_generator() -> None:
    table = parameter_table(build_models(without_perceptual(generator__kind="none"), steps=1))  # type: ignore[arg-type]
    assert table.startswith("discriminator\n")
    assert table.count("total") == 1
