"""What a batch of one fold asks for: the losses of both networks and their gradients.

Axis letters: b batch, n image side, z noise, k class.
"""

import functools
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from icegan_jax.models.discriminator import Verdict
from icegan_jax.models.perceptual import cost_features
from icegan_jax.training import losses
from icegan_jax.training.state import LossWeights, Networks, TrainState, stream

Terms = dict[str, jax.Array]


class Faces(NamedTuple):
    """A batch as the networks see it: faces float[b, n, n, 1] in [-1, 1], labels int[b]."""

    onset: jax.Array
    apex: jax.Array
    label: jax.Array


class Found(NamedTuple):
    """What a batch asks for: gradients and new statistics of both networks (g, d), and the loss terms."""

    g_gradient: Any
    d_gradient: Any
    g_stats: Any
    d_stats: Any
    terms: Terms


def play(networks: Networks, state: TrainState, faces: Faces) -> Found:
    """Both players' gradients.

    One pass of the generator, and one of the discriminator over its fakes, serve both: the discriminator's verdict
    is linearised once and pulled back with each player's loss. Real and synthetic faces are separate batches for
    batch norm; the running statistics follow the real ones, which evaluation sees.
    """
    generator, weights = networks.generator, networks.weights
    assert generator is not None
    noise = _noise(networks, state, faces.label.shape[0])
    expression = jax.nn.one_hot(faces.label, networks.classes)

    def synthesise(g_params: Any) -> tuple[jax.Array, Any]:
        variables = {"params": g_params, **state.g_stats}
        return generator.apply(variables, faces.onset, noise, expression, train=True, mutable=list(state.g_stats))

    def appearance_loss(face: jax.Array) -> tuple[jax.Array, Terms]:
        terms = {"l1": jnp.mean(losses.l1(face, faces.apex))}
        loss = terms["l1"]
        if networks.cost is not None:
            features = (cost_features(networks.cost, x, generator.dtype) for x in (faces.onset, face))
            terms["perceptual"] = jnp.mean(losses.perceptual(*features))
            loss = loss + weights.perceptual * terms["perceptual"]
        return weights.synthesis * loss, terms

    judge = functools.partial(_judge, networks, state, faces)
    fake, pull_to_generator, g_stats = jax.vjp(synthesise, state.g_params, has_aux=True)
    verdict, pull_to_judge, _ = jax.vjp(judge, state.d_params, fake, has_aux=True)

    def loss_of_fake(verdict: Verdict, real: bool, recognition: float) -> tuple[jax.Array, Terms]:
        return _player_loss(networks, verdict, fake, faces.label, real, recognition)

    d_wish, d_fake_terms = jax.grad(loss_of_fake, has_aux=True)(verdict, False, weights.synthetic_recognition)
    g_wish, g_terms = jax.grad(loss_of_fake, has_aux=True)(verdict, True, weights.recognition)
    d_real_gradient, d_stats, d_real_terms = _on_real_faces(networks, state, faces, adversarial=True)
    d_gradient = jax.tree.map(jnp.add, d_real_gradient, pull_to_judge(d_wish)[0])
    appearance_gradient, appearance_terms = jax.grad(appearance_loss, has_aux=True)(fake)
    (g_gradient,) = pull_to_generator(appearance_gradient + pull_to_judge(g_wish)[1])
    terms = _named("g", {**appearance_terms, **g_terms}) | _named("d_real", d_real_terms)
    return Found(g_gradient, d_gradient, g_stats, d_stats, terms | _named("d_fake", d_fake_terms))


def learn_alone(networks: Networks, state: TrainState, faces: Faces) -> Found:
    """The gradient of a discriminator that has nobody to play against; the generator's trees stay empty."""
    d_gradient, d_stats, terms = _on_real_faces(networks, state, faces, adversarial=False)
    return Found(state.g_params, d_gradient, state.g_stats, d_stats, _named("d_real", terms))


def _on_real_faces(networks: Networks, state: TrainState, faces: Faces, adversarial: bool) -> tuple[Any, Any, Terms]:
    """The discriminator's gradient on the real apexes, its new statistics, and the loss terms."""

    def real_loss(d_params: Any) -> tuple[jax.Array, tuple[Any, Terms]]:
        verdict, d_stats = _judge(networks, state, faces, d_params, faces.apex)
        real = True if adversarial else None
        loss, terms = _player_loss(networks, verdict, faces.apex, faces.label, real, networks.weights.recognition)
        return loss, (d_stats, terms | _predicted(verdict))

    gradient, (d_stats, terms) = jax.grad(real_loss, has_aux=True)(state.d_params)
    return gradient, d_stats, terms


def _predicted(verdict: Verdict) -> Terms:
    """By class, the share float32[] of the faces whose longest capsule it is: all or nothing where they collapsed."""
    answer = jnp.argmax(verdict.lengths, axis=1)
    classes = range(verdict.lengths.shape[1])
    return {f"predicted_{index}": jnp.mean((answer == index).astype(jnp.float32)) for index in classes}


def _judge(networks: Networks, state: TrainState, faces: Faces, d_params: Any, face: jax.Array) -> tuple[Verdict, Any]:
    """The discriminator's verdict on faces float[b, n, n, 1], and its new statistics."""
    variables = {"params": d_params, **state.d_stats}
    image = networks.look(faces.onset, face)
    verdict, d_stats = networks.discriminator.apply(
        variables, image, faces.label, train=True, mutable=list(state.d_stats)
    )
    return cast(Verdict, verdict), d_stats


def _named(player: str, terms: Terms) -> Terms:
    return {f"{player}_{name}": value for name, value in terms.items()}


def _noise(networks: Networks, state: TrainState, number: int) -> jax.Array:
    """The noise float32[number, z] of this step; of a batch spread over devices, this device's rows of it."""
    key = jax.random.fold_in(stream(state.key, "noise"), state.step)
    if networks.batch_axis is None:
        return jax.random.normal(key, (number, networks.noise))
    whole = jax.random.normal(key, (number * jax.lax.axis_size(networks.batch_axis), networks.noise))
    return jax.lax.dynamic_slice_in_dim(whole, jax.lax.axis_index(networks.batch_axis) * number, number)


def _player_loss(
    networks: Networks, verdict: Verdict, face: jax.Array, label: jax.Array, real: bool | None, recognition: float
) -> tuple[jax.Array, Terms]:
    """What a player pays for a verdict: weighted L_gan and L_cls; and the terms, float32[] each.

    ``real``: what the player wants the face taken for; None: there is no L_gan. ``recognition``: the weight of L_cls.
    """
    weights = networks.weights
    classification, terms = _classification(weights, verdict, face, label)
    loss = recognition * classification
    if real is not None:
        terms["adversarial"] = jnp.mean(losses.adversarial(verdict.realness, real))
        loss = weights.adversarial * terms["adversarial"] + loss
    correct = jnp.argmax(verdict.lengths, axis=1) == label
    terms["accuracy"] = jnp.mean(correct.astype(jnp.float32))
    lengths = jnp.mean(verdict.lengths, axis=0)
    terms |= {f"length_{index}": lengths[index] for index in range(networks.classes)}
    return loss, terms


def _classification(
    weights: LossWeights, verdict: Verdict, face: jax.Array, label: jax.Array
) -> tuple[jax.Array, Terms]:
    """L_cls: of capsules, margin loss and reconstruction; of a network without, cross-entropy; and its terms."""
    if verdict.reconstruction is None:
        entropy = jnp.mean(losses.cross_entropy(verdict.lengths, label))
        return entropy, {"cross_entropy": entropy}
    margin = jnp.mean(losses.margin(verdict.lengths, label, weights.margin_power))
    target = jax.lax.stop_gradient((face + 1.0) / 2.0)
    drawn = jnp.mean(losses.reconstruction(verdict.reconstruction, target))
    return margin + weights.reconstruction * drawn, {"margin": margin, "reconstruction": drawn}
