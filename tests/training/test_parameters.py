"""Parameter counts, worked out from the layer table of DESIGN section 2 and pinned."""

import jax
import pytest

from configs import demo, loso, loso_pair
from icegan_jax import settings
from icegan_jax.training.parameters import count, parameter_table
from icegan_jax.training.state import create_state

IMAGE, EMBEDDING, NOISE, CLASSES = 128, 320, 100, 3


def convolution(size: int, i: int, o: int, bias: bool = True) -> int:
    return size * size * i * o + o * bias


def generator_count(widths: list[int], colours: int = 1) -> int:
    """Seven halvings, a graph module on each of six skips, seven doublings that read the skips."""
    down = [1, *widths, EMBEDDING]
    total = sum(convolution(4, i, o) for i, o in zip(down[:-1], down[1:], strict=True))
    # T, phi, theta and T' are 1x1 convolutions; A and W are square.
    total += sum(4 * convolution(1, c, c) + 2 * c * c for c in widths)
    outputs = widths[::-1]
    inputs = [EMBEDDING + NOISE + CLASSES, *(2 * c for c in outputs)]
    return total + sum(convolution(4, i, o) for i, o in zip(inputs, [*outputs, colours], strict=True))


def trunk_count(widths: list[int], out: int, pictures: int = 1, batch_norm: bool = True) -> int:
    a, b, c, d, e, f = widths
    total = convolution(4, pictures, a) + convolution(4, a, b, False) + convolution(4, b, c, False)
    total += convolution(4, c, d, False) + convolution(4, d, e)
    return total + convolution(1, e, f) + convolution(1, f, out) + 2 * batch_norm * (b + c + d + e)


def capsules_count(types: int, dimension: int, adversarial: int, expression: int) -> int:
    return 8 * 8 * types * dimension * (adversarial + CLASSES * expression)


def reconstruction_count(expression: int, hidden: tuple[int, int]) -> int:
    sizes = [CLASSES * expression, *hidden, IMAGE * IMAGE]
    return sum(convolution(1, i, o) for i, o in zip(sizes[:-1], sizes[1:], strict=True))


def counted(config: object) -> tuple[int, int, int]:
    """Parameters of the generator, the discriminator and its trunk, as the program has them."""
    networks = settings.networks_of(config, steps=1)  # type: ignore[arg-type]
    state = jax.eval_shape(lambda key: create_state(networks, key), jax.random.key(0))
    trunk = {name: tree for name, tree in state.d_params.items() if name.startswith(("trunk", "norm"))}
    return count(state.g_params), count(state.d_params), count(trunk)


FULL = [64, 128, 256, 512, 512, 512]


def test_the_paper_s_networks() -> None:
    generator = generator_count(FULL)
    trunk = trunk_count([64, 128, 256, 512, 512, 64], 8 * 16)
    discriminator = trunk + capsules_count(8, 16, 256, 32) + reconstruction_count(32, (512, 1024))
    assert (generator, discriminator, trunk) == (44_760_001, 27_244_544, 6_992_384)
    assert counted(loso.get_config()) == (generator, discriminator, trunk)


def test_the_recommended_networks() -> None:
    generator = generator_count(FULL, colours=3)  # two directions and what is added
    trunk = trunk_count([64, 128, 256, 512, 512, 64], 8 * 16, pictures=2)
    discriminator = trunk + capsules_count(8, 16, 256, 32) + reconstruction_count(32, (512, 1024))
    assert (generator, discriminator, trunk) == (44_764_099, 27_245_568, 6_993_408)
    assert counted(loso_pair.get_config()) == (generator, discriminator, trunk)


def test_the_demo_s_networks() -> None:
    generator = generator_count([8, 16, 32, 64, 64, 64], colours=3)
    trunk = trunk_count([8, 16, 32, 64, 64, 8], 4 * 16, pictures=2)
    discriminator = trunk + capsules_count(4, 16, 32, 16) + reconstruction_count(16, (64, 128))
    assert (generator, discriminator, trunk) == (1_367_571, 2_562_992, 110_320)
    assert counted(demo.get_config()) == (generator, discriminator, trunk)


@pytest.mark.parametrize(("network", "total"), [("generator", "44,760,001"), ("discriminator", "27,244,544")])
def test_the_table_names_every_module_and_the_totals(network: str, total: str) -> None:
    table = parameter_table(settings.networks_of(loso.get_config(), steps=1))
    block = next(part for part in table.split("\n\n") if part.startswith(network + "\n"))
    rows = dict(line.split() for line in block.splitlines()[1:])
    assert rows.pop("total") == total
    assert sum(int(number.replace(",", "")) for number in rows.values()) == int(total.replace(",", ""))
    expected = {"generator": ("down_7", "grm_6", "up_1"), "discriminator": ("trunk_7", "adv_caps", "reconstruction_3")}
    assert set(expected[network]) <= rows.keys()
