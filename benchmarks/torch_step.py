"""One training step of both networks in plain PyTorch, equal to ``icegan_jax.training.train_step.train_step``."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._functorch import config as functorch_config

from benchmarks.torch_networks import Discriminator, DiscriminatorOutput, Generator, PerceptualFeatures
from benchmarks.torch_weights import to_torch
from icegan_jax.training import losses
from icegan_jax.training.state import Models, TrainState

Batch = Mapping[str, Tensor]
Terms = dict[str, Tensor]


class Adam(NamedTuple):
    """The hyper-parameters of Adam; the learning rate falls from ``rate`` to 0 as a cosine over ``steps``."""

    rate: float
    b1: float
    b2: float
    steps: int
    epsilon: float = 1e-8


class Fold(NamedTuple):
    """Networks and optimizer of one fold; ``synthesize`` and ``discriminate`` call the networks, compiled or not."""

    generator: Generator
    discriminator: Discriminator
    synthesize: Callable[..., Tensor]
    discriminate: Callable[..., DiscriminatorOutput]
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler


class SharedSetup(NamedTuple):
    """What all folds share: our models, from which sizes are taken, the perceptual network, and the memory format."""

    models: Models
    perceptual: Callable[[Tensor], Tensor] | None
    memory_format: torch.memory_format


def create_setup(models: Models, channels_last: bool, compiled: bool = False) -> SharedSetup:
    """Create the perceptual network with the weights in ``models``; ``compiled``: whether torch.compile is used."""
    if compiled:  # the gradients of both networks use one graph, whose memory must outlive the first backward pass
        functorch_config.donated_buffer = False
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    if models.perceptual is None:
        return SharedSetup(models, None, memory_format)
    perceptual = _with_memory_format(PerceptualFeatures(models.perceptual), memory_format)
    return SharedSetup(models, torch.compile(perceptual) if compiled else perceptual, memory_format)


def create_fold(setup: SharedSetup, state: TrainState, adam: Adam, compiled: bool = False) -> Fold:
    """Create both networks with the weights of ``state``, one fold of our training without a leading axis."""
    models = setup.models
    channels = 1 if models.recognition_input == "apex" else 2
    generator = Generator(models.generator, models.image_size, models.noise, models.classes)
    discriminator = Discriminator(models.discriminator, models.image_size, channels)
    generator.load_state_dict(to_torch(state.g_params, state.g_stats))
    discriminator.load_state_dict(to_torch(state.d_params, state.d_stats))
    generator, discriminator = (
        _with_memory_format(network, setup.memory_format) for network in (generator, discriminator)
    )
    parameters = [*generator.parameters(), *discriminator.parameters()]
    optimizer = torch.optim.Adam(parameters, adam.rate, (adam.b1, adam.b2), adam.epsilon, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, adam.steps)
    synthesize, discriminate = (
        torch.compile(network) if compiled else network for network in (generator, discriminator)
    )
    return Fold(generator, discriminator, synthesize, discriminate, optimizer, schedule)


def _with_memory_format(network: Any, memory_format: torch.memory_format) -> Any:
    return network.to(memory_format=memory_format)


def to_batch(batch: Mapping[str, Any]) -> Batch:
    """Convert a batch of our training, faces uint8[b, n, n, 1] and labels int32[b], for ``train_step``."""
    faces = {name: torch.from_numpy(np.array(batch[name])).permute(0, 3, 1, 2) for name in ("onset", "apex")}
    return {**faces, "label": torch.from_numpy(np.array(batch["label"], np.int64))}


def train_step(setup: SharedSetup, fold: Fold, batch: Batch) -> Terms:
    """Update both networks; ``batch``: ``onset`` and ``apex`` uint8[b, 1, n, n], ``label`` int64[b]."""
    noise = torch.randn(len(batch["label"]), setup.models.noise)
    terms = set_gradients(setup, fold, batch, noise)
    fold.optimizer.step()
    fold.schedule.step()
    return terms


def set_gradients(setup: SharedSetup, fold: Fold, batch: Batch, noise: Tensor) -> Terms:
    """Set the gradients of all parameters, and return the loss terms float32[] by the names of our metrics.

    One pass of the generator and one of the discriminator over the synthetic faces serve both networks. The running
    statistics and the power iteration are updated on the real faces.
    """
    models, weights = setup.models, setup.models.weights
    onset, apex = (to_float(batch[name]).contiguous(memory_format=setup.memory_format) for name in ("onset", "apex"))
    label = batch["label"]
    fake = fold.synthesize(onset, noise, F.one_hot(label, models.classes).float(), update_stats=True)
    fake_output = fold.discriminate(discriminator_input(models, onset, fake), label)
    real_output = fold.discriminate(discriminator_input(models, onset, apex), label, update_stats=True)

    fake_terms = _recognition_terms(fake_output, fake, label)
    d_fake = {"adversarial": adversarial(fake_output.real_prob, real=False), **fake_terms}
    d_real = {
        "adversarial": adversarial(real_output.real_prob, real=True),
        **_recognition_terms(real_output, apex, label),
    }
    d_loss = network_loss(models, d_real, weights.recognition)
    d_loss = d_loss + network_loss(models, d_fake, weights.synthetic_recognition)
    _differentiate(fold.discriminator, d_loss, retain_graph=True)

    g = {"l1": F.l1_loss(fake, apex), "adversarial": adversarial(fake_output.real_prob, real=True), **fake_terms}
    appearance = g["l1"]
    if setup.perceptual is not None:
        with torch.no_grad():
            target = setup.perceptual(onset)
        g["perceptual"] = F.mse_loss(setup.perceptual(fake), target)
        appearance = appearance + weights.perceptual * g["perceptual"]
    g_loss = weights.synthesis * appearance + network_loss(models, g, weights.recognition)
    _differentiate(fold.generator, g_loss)
    groups = {"g": g, "d_real": d_real, "d_fake": d_fake}
    return {f"{group}_{name}": term.detach() for group, terms in groups.items() for name, term in terms.items()}


def _differentiate(network: nn.Module, loss: Tensor, retain_graph: bool = False) -> None:
    """Set the gradients of this network alone, so that no gradients of the other network are computed.

    ``backward`` gives each gradient the memory layout of its weight, which fused Adam requires; ``autograd.grad`` does
    not.
    """
    network.zero_grad(set_to_none=True)
    loss.backward(inputs=list(network.parameters()), retain_graph=retain_graph)


def network_loss(models: Models, terms: Terms, recognition: float) -> Tensor:
    """Return the weighted sum of L_gan and L_cls; ``recognition``: the weight of L_cls."""
    classification = terms["margin"] + models.weights.reconstruction * terms["reconstruction"]
    return models.weights.adversarial * terms["adversarial"] + recognition * classification


def _recognition_terms(output: DiscriminatorOutput, face: Tensor, label: Tensor) -> Terms:
    lengths = output.lengths
    present = F.one_hot(label, lengths.shape[1]).to(lengths.dtype)
    short = F.relu(losses.MARGIN_PRESENT - lengths).square()
    long = F.relu(lengths - losses.MARGIN_ABSENT).square()
    margin = (present * short + losses.ABSENT_WEIGHT * (1.0 - present) * long).sum(dim=1).mean()
    terms = {
        "margin": margin,
        "reconstruction": F.mse_loss(output.reconstruction, ((face + 1.0) / 2.0).detach()),
        "accuracy": (lengths.argmax(dim=1) == label).float().mean(),
    }
    return terms | {f"length_{index}": value for index, value in enumerate(lengths.mean(dim=0))}


def adversarial(real_prob: Tensor, real: bool) -> Tensor:
    """Return the mean binary cross-entropy of probabilities float[b]."""
    return -torch.log((real_prob if real else 1.0 - real_prob) + 1e-6).mean()


def discriminator_input(models: Models, onset: Tensor, face: Tensor) -> Tensor:
    """Return the discriminator's image float[b, 1, n, n], or float[b, 2, n, n] with the onset as the first channel."""
    if models.recognition_input == "apex":
        return face
    return torch.cat([face, models.pair_gain * (face - onset)], dim=1)


def to_float(pixels: Tensor) -> Tensor:
    """Convert uint8 gray levels to float32 in [-1, 1]."""
    return pixels.float() / 127.5 - 1.0
