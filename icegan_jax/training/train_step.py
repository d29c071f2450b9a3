"""The training step of one fold: losses, gradients and update (docs/design.md, "Losses and the update").

Axis letters: s step, b batch, n image side, z noise, k class.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from icegan_jax.models.discriminator import DiscriminatorOutput
from icegan_jax.models.generator import to_float
from icegan_jax.models.perceptual import perceptual_features
from icegan_jax.training import losses
from icegan_jax.training.state import LossWeights, Models, TrainState, derive_key

Batch = Mapping[str, jax.Array | np.ndarray]
LossTerms = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


class FaceBatch(NamedTuple):
    """A batch on the networks' scale: faces float[b, n, n, 1] in [-1, 1], labels int[b]."""

    onset: jax.Array
    apex: jax.Array
    label: jax.Array
    rest_onset: jax.Array | None = None  # float[q, n, n, 1], onsets of the resting pairs; None: there are none
    rest: jax.Array | None = None  # float[q, n, n, 1], their faces at rest


class Gradients(NamedTuple):
    """Gradients and new statistics of both networks, generator (g) and discriminator (d), and the loss terms."""

    g_gradient: Any
    d_gradient: Any
    g_stats: Any
    d_stats: Any
    terms: LossTerms


def train_step(models: Models, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Do one simultaneous update of generator and discriminator on one fold (paper, eq. 4 to 8).

    Without a generator the discriminator alone is updated, on real faces and without L_gan (paper, Table III, A).

    Args:
      models: modules, optimizers and loss weights.
      state: state before the update.
      batch: ``onset`` and ``apex`` uint8[b, n, n, 1], ``label`` int32[b]; with resting pairs ``rest_onset`` and
        ``rest`` uint8[q, n, n, 1]; with ``models.batch_axis``, this device's shard of the batch. Of a compared network:
        ``input`` uint8[b, *input_shape] and ``label``.

    Returns:
      The state after the update, and the metrics by name, float32[] each: the unweighted loss terms (means over the
      batch), and for each network the norms of gradient, parameters and statistics after the update.

    Raises:
      AssertionError: an array of the batch has another shape or dtype.
    """
    names = ("input", "input") if "input" in batch else ("onset", "apex")
    onset, apex, label = (batch[name] for name in (*names, "label"))
    models.assert_faces(onset=onset, apex=apex)
    chex.assert_shape(label, onset.shape[:1], custom_message="label: int32[b]")
    chex.assert_type(label, int, custom_message="label: int32[b]")
    rest = {name: batch[name] for name in ("rest_onset", "rest") if name in batch}
    if rest:
        models.assert_faces(**rest)
    at_rest = {name: to_float(face) for name, face in rest.items()}
    faces = FaceBatch(to_float(onset), to_float(apex), jnp.asarray(label), **at_rest)
    compute_gradients = classifier_gradients if models.generator is None else gan_gradients
    g_gradient, d_gradient, g_stats, d_stats, terms = compute_gradients(models, state, faces)
    if models.batch_axis is not None:
        g_gradient, d_gradient, terms = jax.lax.pmean((g_gradient, d_gradient, terms), models.batch_axis)
    g_updates, g_opt_state = models.g_optimizer.update(g_gradient, state.g_opt_state, state.g_params)
    d_updates, d_opt_state = models.d_optimizer.update(d_gradient, state.d_opt_state, state.d_params)
    state = dataclasses.replace(
        state,
        step=state.step + 1,
        g_params=optax.apply_updates(state.g_params, g_updates),
        g_stats=g_stats,
        g_opt_state=g_opt_state,
        d_params=optax.apply_updates(state.d_params, d_updates),
        d_stats=d_stats,
        d_opt_state=d_opt_state,
    )
    terms |= _norms("d", d_gradient, state.d_params, state.d_stats)
    if models.generator is not None:
        terms |= _norms("g", g_gradient, state.g_params, state.g_stats)
    return state, terms


def train_steps(models: Models, state: TrainState, batches: Batch) -> tuple[TrainState, Metrics]:
    """Do s updates of one fold; the arrays of ``batches`` and the returned metrics have the leading axis [s]."""
    return jax.lax.scan(functools.partial(train_step, models), state, batches)


def gan_gradients(models: Models, state: TrainState, faces: FaceBatch) -> Gradients:
    """Compute the gradients of generator and discriminator (paper, eq. 4 to 8).

    Both gradients use the same forward pass of the generator, and of the discriminator on the synthetic faces.
    """
    generator, weights = models.generator, models.weights
    assert generator is not None
    noise = _noise(models, state, faces.label.shape[0])
    expression = jax.nn.one_hot(faces.label, models.classes)

    def synthesize(g_params: Any) -> tuple[jax.Array, Any]:
        variables = {"params": g_params, **state.g_stats}
        return generator.apply(variables, faces.onset, noise, expression, train=True, mutable=list(state.g_stats))

    def identity_preserving_loss(face: jax.Array) -> tuple[jax.Array, LossTerms]:  # L_ip, paper, eq. 4
        terms = {"l1": jnp.mean(losses.l1(face, faces.apex))}
        loss = terms["l1"]
        if models.perceptual is not None:
            features = (perceptual_features(models.perceptual, x, generator.dtype) for x in (faces.onset, face))
            terms["perceptual"] = jnp.mean(losses.perceptual(*features))
            loss = loss + weights.perceptual * terms["perceptual"]
        return weights.synthesis * loss, terms

    def discriminate(d_params: Any, face: jax.Array) -> tuple[DiscriminatorOutput, Any]:
        return _discriminate(models, state, faces._replace(apex=face), d_params)

    # Real and synthetic faces are separate batches for batch norm. The new statistics of the synthetic batch are
    # dropped: the running statistics are those of real faces, on which the discriminator is evaluated.
    fake, generator_vjp, g_stats = jax.vjp(synthesize, state.g_params, has_aux=True)
    output, discriminator_vjp, _ = jax.vjp(discriminate, state.d_params, fake, has_aux=True)

    def loss_of_fake(output: DiscriminatorOutput, real: bool, recognition: float) -> tuple[jax.Array, LossTerms]:
        return _output_loss(models, output, fake, faces.label, real, recognition)

    # The two networks have different losses of the same output: discriminator_vjp, the linearization of one forward
    # pass, is applied to the cotangent of each loss. With target fake, the part for d_params is the discriminator's
    # gradient; with target real, the part for the synthetic faces is a term of the cotangent for generator_vjp.
    d_cotangent, d_fake_terms = jax.grad(loss_of_fake, has_aux=True)(output, False, weights.synthetic_recognition)
    g_cotangent, g_terms = jax.grad(loss_of_fake, has_aux=True)(output, True, weights.recognition)
    d_real_gradient, d_stats, d_real_terms = _gradients_on_real_faces(models, state, faces, adversarial=True)
    d_gradient = jax.tree.map(jnp.add, d_real_gradient, discriminator_vjp(d_cotangent)[0])
    ip_gradient, ip_terms = jax.grad(identity_preserving_loss, has_aux=True)(fake)
    (g_gradient,) = generator_vjp(ip_gradient + discriminator_vjp(g_cotangent)[1])
    terms = _add_prefix("g", {**ip_terms, **g_terms}) | _add_prefix("d_fake", d_fake_terms) | d_real_terms
    return Gradients(g_gradient, d_gradient, g_stats, d_stats, terms)


def classifier_gradients(models: Models, state: TrainState, faces: FaceBatch) -> Gradients:
    """Compute the gradient of a discriminator without a generator, whose trees stay empty (paper, Table III, A)."""
    d_gradient, d_stats, terms = _gradients_on_real_faces(models, state, faces, adversarial=False)
    return Gradients(state.g_params, d_gradient, state.g_stats, d_stats, terms)


def _gradients_on_real_faces(
    models: Models, state: TrainState, faces: FaceBatch, adversarial: bool
) -> tuple[Any, Any, LossTerms]:
    """Return the discriminator's gradient on the real apex faces, its new statistics, and the loss terms.

    The resting pairs are part of the same batch for batch norm: its statistics must not tell them from the others.
    """
    size = faces.label.shape[0]

    def real_loss(d_params: Any) -> tuple[jax.Array, tuple[Any, LossTerms]]:
        output, d_stats = _discriminate(models, state, _with_resting_pairs(faces), d_params)
        rest_lengths = output.lengths[size:]
        output = jax.tree.map(lambda values: values[:size], output)
        real = True if adversarial else None
        loss, terms = _output_loss(models, output, faces.apex, faces.label, real, models.weights.recognition)
        terms = _add_prefix("d_real", terms | _predicted_class_shares(output))
        if faces.rest is not None:
            rest_loss, rest_terms = _resting_loss(models, output, rest_lengths)
            # Each resting pair has the weight of a pair with an expression.
            loss += models.weights.recognition * rest_lengths.shape[0] / size * rest_loss
            terms |= _add_prefix("d_rest", rest_terms)
        return loss, (d_stats, terms)

    gradient, (d_stats, terms) = jax.grad(real_loss, has_aux=True)(state.d_params)
    return gradient, d_stats, terms


def _predicted_class_shares(output: DiscriminatorOutput) -> LossTerms:
    """Return by class the share float32[] of faces with this prediction; after a collapse one class has all faces."""
    prediction = jnp.argmax(output.lengths, axis=1)
    classes = range(output.lengths.shape[1])
    return {f"predicted_{index}": jnp.mean((prediction == index).astype(jnp.float32)) for index in classes}


def _with_resting_pairs(faces: FaceBatch) -> FaceBatch:
    """Append the resting pairs, if any, with the label ``losses.NO_CLASS``."""
    if faces.rest_onset is None or faces.rest is None:
        return faces
    label = jnp.full(faces.rest.shape[:1], losses.NO_CLASS, faces.label.dtype)
    rest = FaceBatch(faces.rest_onset, faces.rest, label)
    return FaceBatch(*(jnp.concatenate(parts) for parts in zip(faces[:3], rest[:3], strict=True)))


def _resting_loss(models: Models, output: DiscriminatorOutput, lengths: jax.Array) -> tuple[jax.Array, LossTerms]:
    """Return the loss of resting pairs with class lengths float[q, k], which belong to no class, and its terms.

    The terms are the loss and the mean length of the longest class capsule. A discriminator without capsules has
    probabilities, which cannot all be small: their target is equal probabilities of all classes.
    """
    longest = jnp.mean(jnp.max(lengths, axis=1))
    if not models.discriminator.has_capsules:
        entropy = jnp.mean(losses.uniform_cross_entropy(lengths))
        return entropy, {"cross_entropy": entropy, "longest": longest}
    no_class = jnp.full(lengths.shape[:1], losses.NO_CLASS)
    margin = jnp.mean(_margin(models.weights, lengths, no_class))
    return margin, {"margin": margin, "longest": longest}


def _discriminate(
    models: Models, state: TrainState, faces: FaceBatch, d_params: Any
) -> tuple[DiscriminatorOutput, Any]:
    """Apply the discriminator to pairs (``faces.apex`` is the face); return its output and its new statistics."""
    variables = {"params": d_params, **state.d_stats}
    image = models.discriminator_input(faces.onset, faces.apex)
    rngs = {"dropout": jax.random.fold_in(derive_key(state.key, "dropout"), state.step)}
    output, d_stats = models.discriminator.apply(
        variables, image, faces.label, train=True, mutable=list(state.d_stats), rngs=rngs
    )
    return cast(DiscriminatorOutput, output), d_stats


def _add_prefix(prefix: str, terms: LossTerms) -> LossTerms:
    return {f"{prefix}_{name}": value for name, value in terms.items()}


def _noise(models: Models, state: TrainState, number: int) -> jax.Array:
    """Draw the noise float32[number, z] of this step; for a batch sharded over devices, this device's rows."""
    key = jax.random.fold_in(derive_key(state.key, "noise"), state.step)
    if models.batch_axis is None:
        return jax.random.normal(key, (number, models.noise))
    # Every device draws the noise of the whole batch, so that the noise does not depend on the number of devices.
    all_noise = jax.random.normal(key, (number * jax.lax.axis_size(models.batch_axis), models.noise))
    return jax.lax.dynamic_slice_in_dim(all_noise, jax.lax.axis_index(models.batch_axis) * number, number)


def _output_loss(
    models: Models,
    output: DiscriminatorOutput,
    face: jax.Array,
    label: jax.Array,
    real: bool | None,
    recognition: float,
) -> tuple[jax.Array, LossTerms]:
    """Return the loss of a discriminator output, weighted L_gan and L_cls, and its terms, float32[] each.

    Args:
      models: see ``train_step``.
      output: the discriminator's output for the faces.
      face: float[b, n, n, 1] in [-1, 1], the faces.
      label: int[b], their classes.
      real: target of L_gan, real or fake; None for no L_gan.
      recognition: weight of L_cls.
    """
    weights = models.weights
    classification, terms = _classification(models, output, face, label)
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
    models: Models, output: DiscriminatorOutput, face: jax.Array, label: jax.Array
) -> tuple[jax.Array, LossTerms]:
    """Return L_cls and its terms: margin loss and reconstruction of capsules (eq. 5 and 6), otherwise cross-entropy.

    Each auxiliary classifier has a cross-entropy of the same weight.
    """
    weights = models.weights
    if not models.discriminator.has_capsules:
        entropy = jnp.mean(losses.cross_entropy(output.lengths, label))
        if output.auxiliary is None:
            return entropy, {"cross_entropy": entropy}
        of_each = jax.vmap(losses.cross_entropy, in_axes=(1, None))(output.auxiliary, label)
        auxiliary = jnp.sum(jnp.mean(of_each, axis=1))
        return entropy + auxiliary, {"cross_entropy": entropy, "auxiliary_cross_entropy": auxiliary}
    margin = jnp.mean(_margin(weights, output.lengths, label))
    if output.reconstruction is None:
        return margin, {"margin": margin}
    target = jax.lax.stop_gradient((face + 1.0) / 2.0)  # only the reconstruction has a gradient
    reconstruction = jnp.mean(losses.reconstruction(output.reconstruction, target))
    return margin + weights.reconstruction * reconstruction, {"margin": margin, "reconstruction": reconstruction}


def _margin(weights: LossWeights, lengths: jax.Array, label: jax.Array) -> jax.Array:
    """Return the margin loss float32[b] of capsule lengths float32[b, k]."""
    return losses.margin(lengths, label, weights.margin_power, weights.margin_present, weights.margin_absent)


def _norms(prefix: str, gradient: Any, params: Any, stats: Any) -> Metrics:
    """Return the global norms, float32[] each, of a network's gradient, parameters and statistics.

    The norms detect a non-finite number anywhere in the state at the update that caused the number, even if no loss
    depends on it (running statistics of batch norm, parameters after the last update). A norm whose square exceeds
    float32 (1.8e19) is infinite too. For a gradient, Adam's second moment is then infinite as well, and the weight
    never changes again.
    """
    trees = {"gradient": gradient, "parameter": params, "statistic": stats}
    return {f"{prefix}_{name}_norm": optax.tree.norm(tree) for name, tree in trees.items()}
