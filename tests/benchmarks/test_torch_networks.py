"""With equal weights, the PyTorch networks compute the same as ours."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.models.discriminator import CapsuleDiscriminator, DiscriminatorOutput
from icegan_jax.models.generator import Generator
from icegan_jax.models.perceptual import load_perceptual_network, perceptual_features
from tests.training import tiny

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

from benchmarks import torch_networks  # noqa: E402
from benchmarks.torch_weights import to_torch  # noqa: E402
from tests.benchmarks.arrays import random_state  # noqa: E402

TOLERANCE = 1e-4  # of values in [-1, 1]
CASES = {
    "loso_pair": {},
    "plain": {
        "generator": Generator(width=1 / 32, embedding=5, class_gain=10.0),
        "discriminator": CapsuleDiscriminator(
            width=1 / 32,
            primary_types=3,
            primary_dimension=4,
            expression_dimension=5,
            routing_iterations=2,
            norm="instance",
        ),
        "recognition_input": "apex",
        "image_size": 64,
    },
    "wider": {
        "generator": Generator(width=1 / 4, motion=True),
        "discriminator": CapsuleDiscriminator(width=1 / 4, reconstruction_width=1 / 4),
        "noise": 100,
        "image_size": 64,
    },
}


def gray(seed: int, size: int, channels: int = 1) -> np.ndarray:
    """Pictures float32[2, size, size, channels] in [-1, 1]."""
    return np.random.default_rng(seed).uniform(-1, 1, (2, size, size, channels)).astype(np.float32)


def nchw(image: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(image).transpose(0, 3, 1, 2))


def far(ours: Any, theirs: torch.Tensor) -> float:
    ours, theirs = np.asarray(ours), theirs.detach().numpy()
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max())


def as_seen(theirs: torch.Tensor) -> torch.Tensor:
    return theirs.permute(0, 2, 3, 1)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("channels_last", [True, False])
def test_the_generator_synthesizes_the_same_face(case: str, channels_last: bool) -> None:
    models = tiny.models(**CASES[case])
    state = random_state(models)
    network = torch_networks.Generator(models.generator, models.image_size, models.noise, 3)
    network.load_state_dict(to_torch(state.g_params, state.g_stats))
    if channels_last:
        network.to(memory_format=torch.channels_last)
    onset, expression = gray(0, models.image_size), np.eye(3, dtype=np.float32)[[2, 0]]
    noise = np.random.default_rng(1).normal(size=(2, models.noise)).astype(np.float32)
    variables = {"params": state.g_params, **state.g_stats}
    apply = jax.jit(lambda *x: models.generator.apply(variables, *x, train=True, mutable=list(state.g_stats)))
    face, stats = apply(onset, noise, expression)
    assert float(jnp.std(face)) > 0.1
    theirs = network(nchw(onset), torch.from_numpy(noise), torch.from_numpy(expression), update_stats=True)
    assert far(face, as_seen(theirs)) < TOLERANCE
    for name, direction in to_torch(stats).items():
        assert far(direction, network.state_dict()[name]) < TOLERANCE, name


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("train", [True, False])
def test_the_discriminator_gives_the_same_output(case: str, train: bool) -> None:
    models = tiny.models(**CASES[case])
    state = random_state(models)
    channels = 1 if models.recognition_input == "apex" else 2
    network = torch_networks.Discriminator(models.discriminator, models.image_size, channels)
    network.load_state_dict(to_torch(state.d_params, state.d_stats))
    network.train(train)
    image, label = gray(0, models.image_size, channels), jnp.array([1, 2]) if train else None
    variables = {"params": state.d_params, **state.d_stats}
    apply = jax.jit(lambda *x: models.discriminator.apply(variables, *x, train=train, mutable=list(state.d_stats)))
    output, stats = apply(image, label)
    theirs = network(
        nchw(image), None if label is None else torch.from_numpy(np.array(label, np.int64)), update_stats=train
    )
    assert float(jnp.std(output.reconstruction)) > 1e-3
    assert far(output.real_prob, theirs.real_prob) < TOLERANCE
    assert far(output.lengths, theirs.lengths) < TOLERANCE
    assert far(output.reconstruction, as_seen(theirs.reconstruction)) < TOLERANCE
    for name, value in to_torch(stats).items():
        if not name.endswith("running_var"):  # torch keeps the unbiased one; training never reads it
            assert far(value, network.state_dict()[name]) < TOLERANCE, name


def test_statistics_change_only_on_request() -> None:
    models = tiny.models()
    state = random_state(models)
    network = torch_networks.Discriminator(models.discriminator, models.image_size, 2)
    before = to_torch(state.d_params, state.d_stats)
    network.load_state_dict(before)
    image, label = nchw(gray(0, models.image_size, 2)), torch.tensor([0, 1])
    network(image, label)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())
    network(image, label, update_stats=True)
    moved = {name for name, value in before.items() if not torch.equal(value, network.state_dict()[name])}
    assert moved == set(to_torch(state.d_stats))


@pytest.mark.parametrize(("name", "layer"), [("vgg16", "relu2_2"), ("alexnet", "relu2")])
def test_the_perceptual_network_gives_the_same_features(name: str, layer: str) -> None:
    ours = load_perceptual_network(name, layer)
    image = gray(0, 64)
    features = jax.jit(lambda x: perceptual_features(ours, x))(image)
    theirs = as_seen(torch_networks.PerceptualFeatures(ours)(nchw(image)))
    scale = float(jnp.abs(features).max())
    assert scale > 1
    assert far(features, theirs) < TOLERANCE * scale


def test_the_output_has_the_same_fields() -> None:
    assert torch_networks.DiscriminatorOutput._fields == DiscriminatorOutput._fields
