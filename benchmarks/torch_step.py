"""The update of both networks in plain PyTorch: the mathematics of ``icegan_jax.training.train_step.train_step``."""

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
    """Learning rate, falling to 0 as a cosine over ``steps``, and Adam's other numbers."""

    rate: float
    b1: float
    b2: float
    steps: int
    epsilon: float = 1e-8


class Fold(NamedTuple):
    """One fold's training: networks (``judge`` and ``synthesize`` call them, compiled or not) and optimizer."""

    generator: Generator
    discriminator: Discriminator
    synthesize: Callable[..., Tensor]
    judge: Callable[..., DiscriminatorOutput]
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler


class SharedSetup(NamedTuple):
    """What every fold shares: our networks' settings, the cost network, PyTorch's memory format."""

    settings: Models
    cost: Callable[[Tensor], Tensor] | None
    memory_format: torch.memory_format


def create_setup(settings: Models, channels_last: bool, compiled: bool = False) -> SharedSetup:
    """Take the cost network's weights from ``settings``; ``compiled``: for networks that torch.compile has seen."""
    if compiled:  # both players' gradients are taken from one graph, whose memory must outlive the first
        functorch_config.donated_buffer = False
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    if settings.perceptual is None:
        return SharedSetup(settings, None, memory_format)
    cost = _placed(PerceptualFeatures(settings.perceptual), memory_format)
    return SharedSetup(settings, torch.compile(cost) if compiled else cost, memory_format)


def create_fold(task: SharedSetup, state: TrainState, adam: Adam, compiled: bool = False) -> Fold:
    """Both networks with the weights of ``state``, one fold of ours without a leading axis."""
    settings = task.settings
    channels = 1 if settings.recognition_input == "apex" else 2
    generator = Generator(settings.generator, settings.image_size, settings.noise, settings.classes)
    discriminator = Discriminator(settings.discriminator, settings.image_size, channels)
    generator.load_state_dict(to_torch(state.g_params, state.g_stats))
    discriminator.load_state_dict(to_torch(state.d_params, state.d_stats))
    generator, discriminator = (_placed(network, task.memory_format) for network in (generator, discriminator))
    parameters = [*generator.parameters(), *discriminator.parameters()]
    optimizer = torch.optim.Adam(parameters, adam.rate, (adam.b1, adam.b2), adam.epsilon, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, adam.steps)
    synthesize, judge = (torch.compile(network) if compiled else network for network in (generator, discriminator))
    return Fold(generator, discriminator, synthesize, judge, optimizer, schedule)


def _placed(network: Any, memory_format: torch.memory_format) -> Any:
    return network.to(memory_format=memory_format)


def to_batch(batch: Mapping[str, Any]) -> Batch:
    """A batch of ours, uint8[b, n, n, 1] faces and int32[b] labels, for ``update``."""
    faces = {name: torch.from_numpy(np.array(batch[name])).permute(0, 3, 1, 2) for name in ("onset", "apex")}
    return {**faces, "label": torch.from_numpy(np.array(batch["label"], np.int64))}


def train_step(task: SharedSetup, fold: Fold, batch: Batch) -> Terms:
    """One simultaneous update; ``batch``: ``onset`` and ``apex`` uint8[b, 1, n, n], ``label`` int64[b]."""
    noise = torch.randn(len(batch["label"]), task.settings.noise)
    terms = set_gradients(task, fold, batch, noise)
    fold.optimizer.step()
    fold.schedule.step()
    return terms


def set_gradients(task: SharedSetup, fold: Fold, batch: Batch, noise: Tensor) -> Terms:
    """Give every parameter its gradient, and returns the loss terms float32[] by the names ours have.

    One pass of the generator and one of the discriminator over its fakes serve both players. The running
    statistics and the power iteration follow the real faces.
    """
    settings, weights = task.settings, task.settings.weights
    onset, apex = (to_float(batch[name]).contiguous(memory_format=task.memory_format) for name in ("onset", "apex"))
    label = batch["label"]
    fake = fold.synthesize(onset, noise, F.one_hot(label, settings.classes).float(), keep=True)
    fake_verdict = fold.judge(discriminator_input(settings, onset, fake), label)
    real_verdict = fold.judge(discriminator_input(settings, onset, apex), label, keep=True)

    fake_terms = _recognition_terms(fake_verdict, fake, label)
    d_fake = {"adversarial": adversarial(fake_verdict.real_prob, real=False), **fake_terms}
    d_real = {
        "adversarial": adversarial(real_verdict.real_prob, real=True),
        **_recognition_terms(real_verdict, apex, label),
    }
    d_loss = player_loss(settings, d_real, weights.recognition)
    d_loss = d_loss + player_loss(settings, d_fake, weights.synthetic_recognition)
    _differentiate(fold.discriminator, d_loss, retain_graph=True)

    g = {"l1": F.l1_loss(fake, apex), "adversarial": adversarial(fake_verdict.real_prob, real=True), **fake_terms}
    appearance = g["l1"]
    if task.cost is not None:
        with torch.no_grad():
            wanted = task.cost(onset)
        g["perceptual"] = F.mse_loss(task.cost(fake), wanted)
        appearance = appearance + weights.perceptual * g["perceptual"]
    g_loss = weights.synthesis * appearance + player_loss(settings, g, weights.recognition)
    _differentiate(fold.generator, g_loss)
    players = {"g": g, "d_real": d_real, "d_fake": d_fake}
    return {f"{player}_{name}": term.detach() for player, terms in players.items() for name, term in terms.items()}


def _differentiate(network: nn.Module, loss: Tensor, retain_graph: bool = False) -> None:
    """Set the gradients of this network alone, so that nothing is computed for the other's weights.

    ``backward`` lays each out in memory as its weight, which fused Adam takes for granted; ``autograd.grad`` does not.
    """
    network.zero_grad(set_to_none=True)
    loss.backward(inputs=list(network.parameters()), retain_graph=retain_graph)


def player_loss(settings: Models, terms: Terms, recognition: float) -> Tensor:
    """Weighted L_gan and L_cls; ``recognition``: the weight of L_cls."""
    classification = terms["margin"] + settings.weights.reconstruction * terms["reconstruction"]
    return settings.weights.adversarial * terms["adversarial"] + recognition * classification


def _recognition_terms(verdict: DiscriminatorOutput, face: Tensor, label: Tensor) -> Terms:
    lengths = verdict.lengths
    present = F.one_hot(label, lengths.shape[1]).to(lengths.dtype)
    short = F.relu(losses.MARGIN_PRESENT - lengths).square()
    long = F.relu(lengths - losses.MARGIN_ABSENT).square()
    margin = (present * short + losses.ABSENT_WEIGHT * (1.0 - present) * long).sum(dim=1).mean()
    terms = {
        "margin": margin,
        "reconstruction": F.mse_loss(verdict.reconstruction, ((face + 1.0) / 2.0).detach()),
        "accuracy": (lengths.argmax(dim=1) == label).float().mean(),
    }
    return terms | {f"length_{index}": value for index, value in enumerate(lengths.mean(dim=0))}


def adversarial(real_prob: Tensor, real: bool) -> Tensor:
    """Mean binary cross-entropy of float[b]."""
    return -torch.log((real_prob if real else 1.0 - real_prob) + 1e-6).mean()


def discriminator_input(settings: Models, onset: Tensor, face: Tensor) -> Tensor:
    """The discriminator's image: float[b, 1, n, n], or with two channels where it sees the onset too."""
    if settings.recognition_input == "apex":
        return face
    return torch.cat([face, settings.pair_gain * (face - onset)], dim=1)


def to_float(pixels: Tensor) -> Tensor:
    """uint8 gray levels to float32 in [-1, 1]."""
    return pixels.float() / 127.5 - 1.0
