"""What a batch of one fold asks for: the losses of both networks and their gradients.

Axis letters: b batch, n image side, z noise, k class.

What is computed on one fold: the update of both networks, recognition, synthesis.

Axis letters: s step, b batch, n image side, k class.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from icegan_jax.models.discriminator import DiscriminatorOutput
from icegan_jax.models.perceptual import perceptual_features
from icegan_jax.training import losses
from icegan_jax.training.inference import to_float
from icegan_jax.training.state import LossWeights, Models, TrainState, derive_key

LossTerms = dict[str, jax.Array]


class FaceBatch(NamedTuple):
    """A batch as the networks see it: faces float[b, n, n, 1] in [-1, 1], labels int[b]."""

    onset: jax.Array
    apex: jax.Array
    label: jax.Array


class Gradients(NamedTuple):
    """What a batch asks for: gradients and new statistics of both networks (g, d), and the loss terms."""

    g_gradient: Any
    d_gradient: Any
    g_stats: Any
    d_stats: Any
    terms: LossTerms


def gan_gradients(models: Models, state: TrainState, faces: FaceBatch) -> Gradients:
    """Both players' gradients.

    One pass of the generator, and one of the discriminator over its fakes, serve both: the discriminator's verdict
    is linearized once and pulled back with each player's loss. Real and synthetic faces are separate batches for
    batch norm; the running statistics follow the real ones, which evaluation sees.
    """
    generator, weights = models.generator, models.weights
    assert generator is not None
    noise = _noise(models, state, faces.label.shape[0])
    expression = jax.nn.one_hot(faces.label, models.classes)

    def synthesize(g_params: Any) -> tuple[jax.Array, Any]:
        variables = {"params": g_params, **state.g_stats}
        return generator.apply(variables, faces.onset, noise, expression, train=True, mutable=list(state.g_stats))

    def appearance_loss(face: jax.Array) -> tuple[jax.Array, LossTerms]:
        terms = {"l1": jnp.mean(losses.l1(face, faces.apex))}
        loss = terms["l1"]
        if models.perceptual is not None:
            features = (perceptual_features(models.perceptual, x, generator.dtype) for x in (faces.onset, face))
            terms["perceptual"] = jnp.mean(losses.perceptual(*features))
            loss = loss + weights.perceptual * terms["perceptual"]
        return weights.synthesis * loss, terms

    discriminate = functools.partial(_discriminate, models, state, faces)
    fake, generator_vjp, g_stats = jax.vjp(synthesize, state.g_params, has_aux=True)
    output, discriminator_vjp, _ = jax.vjp(discriminate, state.d_params, fake, has_aux=True)

    def loss_of_fake(output: DiscriminatorOutput, real: bool, recognition: float) -> tuple[jax.Array, LossTerms]:
        return _player_loss(models, output, fake, faces.label, real, recognition)

    d_cotangent, d_fake_terms = jax.grad(loss_of_fake, has_aux=True)(output, False, weights.synthetic_recognition)
    g_cotangent, g_terms = jax.grad(loss_of_fake, has_aux=True)(output, True, weights.recognition)
    d_real_gradient, d_stats, d_real_terms = _gradients_on_real_faces(models, state, faces, adversarial=True)
    d_gradient = jax.tree.map(jnp.add, d_real_gradient, discriminator_vjp(d_cotangent)[0])
    appearance_gradient, appearance_terms = jax.grad(appearance_loss, has_aux=True)(fake)
    (g_gradient,) = generator_vjp(appearance_gradient + discriminator_vjp(g_cotangent)[1])
    terms = _prefixed("g", {**appearance_terms, **g_terms}) | _prefixed("d_real", d_real_terms)
    return Gradients(g_gradient, d_gradient, g_stats, d_stats, terms | _prefixed("d_fake", d_fake_terms))


def classifier_gradients(models: Models, state: TrainState, faces: FaceBatch) -> Gradients:
    """The gradient of a discriminator that has nobody to play against; the generator's trees stay empty."""
    d_gradient, d_stats, terms = _gradients_on_real_faces(models, state, faces, adversarial=False)
    return Gradients(state.g_params, d_gradient, state.g_stats, d_stats, _prefixed("d_real", terms))


def _gradients_on_real_faces(
    models: Models, state: TrainState, faces: FaceBatch, adversarial: bool
) -> tuple[Any, Any, LossTerms]:
    """The discriminator's gradient on the real apexes, its new statistics, and the loss terms."""

    def real_loss(d_params: Any) -> tuple[jax.Array, tuple[Any, LossTerms]]:
        output, d_stats = _discriminate(models, state, faces, d_params, faces.apex)
        real = True if adversarial else None
        loss, terms = _player_loss(models, output, faces.apex, faces.label, real, models.weights.recognition)
        return loss, (d_stats, terms | _predicted_shares(output))

    gradient, (d_stats, terms) = jax.grad(real_loss, has_aux=True)(state.d_params)
    return gradient, d_stats, terms


def _predicted_shares(output: DiscriminatorOutput) -> LossTerms:
    """By class, the share float32[] of the faces whose longest capsule it is: all or nothing where they collapsed."""
    answer = jnp.argmax(output.lengths, axis=1)
    classes = range(output.lengths.shape[1])
    return {f"predicted_{index}": jnp.mean((answer == index).astype(jnp.float32)) for index in classes}


def _discriminate(
    models: Models, state: TrainState, faces: FaceBatch, d_params: Any, face: jax.Array
) -> tuple[DiscriminatorOutput, Any]:
    """The discriminator's verdict on faces float[b, n, n, 1], and its new statistics."""
    variables = {"params": d_params, **state.d_stats}
    image = models.discriminator_input(faces.onset, face)
    output, d_stats = models.discriminator.apply(variables, image, faces.label, train=True, mutable=list(state.d_stats))
    return cast(DiscriminatorOutput, output), d_stats


def _prefixed(player: str, terms: LossTerms) -> LossTerms:
    return {f"{player}_{name}": value for name, value in terms.items()}


def _noise(models: Models, state: TrainState, number: int) -> jax.Array:
    """The noise float32[number, z] of this step; of a batch spread over devices, this device's rows of it."""
    key = jax.random.fold_in(derive_key(state.key, "noise"), state.step)
    if models.batch_axis is None:
        return jax.random.normal(key, (number, models.noise))
    whole = jax.random.normal(key, (number * jax.lax.axis_size(models.batch_axis), models.noise))
    return jax.lax.dynamic_slice_in_dim(whole, jax.lax.axis_index(models.batch_axis) * number, number)


def _player_loss(
    models: Models,
    output: DiscriminatorOutput,
    face: jax.Array,
    label: jax.Array,
    real: bool | None,
    recognition: float,
) -> tuple[jax.Array, LossTerms]:
    """What a player pays for a verdict: weighted L_gan and L_cls; and the terms, float32[] each.

    ``real``: what the player wants the face taken for; None: there is no L_gan. ``recognition``: the weight of L_cls.
    """
    weights = models.weights
    classification, terms = _classification(weights, output, face, label)
    loss = recognition * classification
    if real is not None:
        terms["adversarial"] = jnp.mean(losses.adversarial(output.real_prob, real))
        loss = weights.adversarial * terms["adversarial"] + loss
    correct = jnp.argmax(output.lengths, axis=1) == label
    terms["accuracy"] = jnp.mean(correct.astype(jnp.float32))
    lengths = jnp.mean(output.lengths, axis=0)
    terms |= {f"length_{index}": lengths[index] for index in range(models.classes)}
    return loss, terms


def _classification(
    weights: LossWeights, output: DiscriminatorOutput, face: jax.Array, label: jax.Array
) -> tuple[jax.Array, LossTerms]:
    """L_cls: of capsules, margin loss and reconstruction; of a network without, cross-entropy; and its terms."""
    if output.reconstruction is None:
        entropy = jnp.mean(losses.cross_entropy(output.lengths, label))
        return entropy, {"cross_entropy": entropy}
    margin = jnp.mean(losses.margin(output.lengths, label, weights.margin_power))
    target = jax.lax.stop_gradient((face + 1.0) / 2.0)
    drawn = jnp.mean(losses.reconstruction(output.reconstruction, target))
    return margin + weights.reconstruction * drawn, {"margin": margin, "reconstruction": drawn}


Batch = Mapping[str, jax.Array | np.ndarray]

Metrics = dict[str, jax.Array]


def train_step(models: Models, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """One simultaneous update of generator and discriminator on one fold (paper, eq. 4 to 8).

    Without a generator, of the discriminator alone, on real faces and without L_gan (paper, Table III, A).

    Args:
      networks: the modules, optimizers and loss weights.
      state: before the update.
      batch: ``onset`` and ``apex`` uint8[b, n, n, 1], ``label`` int32[b]; where ``networks.batch_axis`` names the
        devices that share a batch, this device's part of it.

    Returns:
      The state after it, and by name, float32[] each: the loss terms (means over the batch, before their weights), and
      of each player the norms of its gradient and of its parameters and statistics after the update (see ``_norms``).
    """
    faces = FaceBatch(to_float(batch["onset"]), to_float(batch["apex"]), jnp.asarray(batch["label"]))
    find = classifier_gradients if models.generator is None else gan_gradients
    g_gradient, d_gradient, g_stats, d_stats, terms = find(models, state, faces)
    if models.batch_axis is not None:
        g_gradient, d_gradient, terms = jax.lax.pmean((g_gradient, d_gradient, terms), models.batch_axis)
    g_change, g_opt_state = models.g_optimizer.update(g_gradient, state.g_opt_state, state.g_params)
    d_change, d_opt_state = models.d_optimizer.update(d_gradient, state.d_opt_state, state.d_params)
    state = dataclasses.replace(
        state,
        step=state.step + 1,
        g_params=optax.apply_updates(state.g_params, g_change),
        g_stats=g_stats,
        g_opt_state=g_opt_state,
        d_params=optax.apply_updates(state.d_params, d_change),
        d_stats=d_stats,
        d_opt_state=d_opt_state,
    )
    terms |= _norms("d", d_gradient, state.d_params, state.d_stats)
    if models.generator is not None:
        terms |= _norms("g", g_gradient, state.g_params, state.g_stats)
    return state, terms


def _norms(player: str, gradient: Any, params: Any, stats: Any) -> Metrics:
    """Lengths, float32[] each, of all of a player's gradients, parameters and statistics together.

    Whatever stops being a finite number in a state shows in them at the very update, even where no loss reads it
    (the running statistics of batch norm, or what the last update made of the parameters). A length whose square is
    beyond float32 (1.8e19) is infinite too: of a gradient, Adam's second moment is so as well, and that weight stays
    where it is from then on.
    """
    trees = {"gradient": gradient, "parameter": params, "statistic": stats}
    return {f"{player}_{name}_norm": optax.tree.norm(tree) for name, tree in trees.items()}


def train_steps(models: Models, state: TrainState, batches: Batch) -> tuple[TrainState, Metrics]:
    """Several updates of one fold; arrays of ``batches`` have a leading axis [s], and so have the metrics."""
    return jax.lax.scan(functools.partial(train_step, models), state, batches)
