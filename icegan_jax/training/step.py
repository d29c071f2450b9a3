"""The update of both networks: a pure function of one fold, then over folds, devices and steps.

Axis letters: f fold, s step, b batch, n image side.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from icegan_jax.models.discriminator import Verdict
from icegan_jax.models.perceptual import cost_features
from icegan_jax.training import losses
from icegan_jax.training.state import Networks, TrainState, create_state, stream

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


def to_float(pixels: jax.Array) -> jax.Array:
    """uint8 grey levels to float32 in [-1, 1]; the generator's scale."""
    return pixels.astype(jnp.float32) / 127.5 - 1.0


def to_grey(face: jax.Array) -> jax.Array:
    """float in [-1, 1] to uint8 grey levels, rounded."""
    return jnp.round((jnp.clip(face, -1.0, 1.0) + 1.0) * 127.5).astype(jnp.uint8)


def update(networks: Networks, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """One simultaneous update of generator and discriminator on one fold (paper, eq. 4 to 8).

    One pass of the generator, and one of the discriminator over its fakes, serve both gradients: the
    discriminator's verdict is linearised once and pulled back with each player's loss. Real and synthetic faces
    are separate batches for batch norm; the running statistics follow the real ones, which evaluation sees.

    Args:
      networks: the modules, optimisers and loss weights.
      state: before the update.
      batch: ``onset`` and ``apex`` uint8[b, n, n, 1], ``label`` int32[b].

    Returns:
      The state after it, and the loss terms float32[] by name (means over the batch, before their weights).
    """
    onset, apex, label = to_float(batch["onset"]), to_float(batch["apex"]), batch["label"]
    noise_key = jax.random.fold_in(stream(state.key, "noise"), state.step)
    noise = jax.random.normal(noise_key, (label.shape[0], networks.noise))
    expression = jax.nn.one_hot(label, networks.classes)

    def synthesise(g_params: Any) -> tuple[jax.Array, Any]:
        variables = {"params": g_params, **state.g_stats}
        return networks.generator.apply(
            variables, onset, noise, expression, train=True, mutable=list(state.g_stats)
        )

    def judge(d_params: Any, face: jax.Array) -> tuple[Verdict, Any]:
        variables = {"params": d_params, **state.d_stats}
        image = networks.look(onset, face)
        return networks.discriminator.apply(variables, image, label, train=True, mutable=list(state.d_stats))

    def real_loss(d_params: Any) -> tuple[jax.Array, tuple[Metrics, Any]]:
        verdict, d_stats = judge(d_params, apex)
        loss, terms = _player_loss(networks, verdict, apex, label, real=True)
        return loss, (terms, d_stats)

    def appearance_loss(face: jax.Array) -> tuple[jax.Array, Metrics]:
        terms = {"l1": jnp.mean(losses.l1(face, apex))}
        loss = terms["l1"]
        if networks.cost is not None:
            features = (cost_features(networks.cost, x) for x in (onset, face))
            terms["perceptual"] = jnp.mean(losses.perceptual(*features))
            loss = loss + networks.weights.perceptual * terms["perceptual"]
        return networks.weights.synthesis * loss, terms

    fake, pull_to_generator, g_stats = jax.vjp(synthesise, state.g_params, has_aux=True)
    verdict, pull_to_judge, _ = jax.vjp(judge, state.d_params, fake, has_aux=True)

    def loss_of_fake(verdict: Verdict, real: bool) -> tuple[jax.Array, Metrics]:
        return _player_loss(networks, verdict, fake, label, real=real)

    d_wish, d_fake_terms = jax.grad(loss_of_fake, has_aux=True)(verdict, False)
    g_wish, g_terms = jax.grad(loss_of_fake, has_aux=True)(verdict, True)
    d_real_gradient, (d_real_terms, d_stats) = jax.grad(real_loss, has_aux=True)(state.d_params)
    d_gradient = jax.tree.map(jnp.add, d_real_gradient, pull_to_judge(d_wish)[0])
    appearance_gradient, appearance_terms = jax.grad(appearance_loss, has_aux=True)(fake)
    (g_gradient,) = pull_to_generator(appearance_gradient + pull_to_judge(g_wish)[1])

    g_change, g_optimizer = networks.g_optimizer.update(g_gradient, state.g_optimizer, state.g_params)
    d_change, d_optimizer = networks.d_optimizer.update(d_gradient, state.d_optimizer, state.d_params)
    state = state.replace(
        step=state.step + 1,
        g_params=optax.apply_updates(state.g_params, g_change),
        g_stats=g_stats,
        g_optimizer=g_optimizer,
        d_params=optax.apply_updates(state.d_params, d_change),
        d_stats=d_stats,
        d_optimizer=d_optimizer,
    )
    return state, {
        **{f"g_{name}": value for name, value in {**appearance_terms, **g_terms}.items()},
        **{f"d_real_{name}": value for name, value in d_real_terms.items()},
        **{f"d_fake_{name}": value for name, value in d_fake_terms.items()},
    }


def _player_loss(
    networks: Networks, verdict: Verdict, face: jax.Array, label: jax.Array, *, real: bool
) -> tuple[jax.Array, Metrics]:
    """What a player pays for a verdict: weighted L_gan + L_cls, and the terms.

    ``real`` is what the player wants the face taken for. The generator and the discriminator differ in that
    alone.
    """
    drawn = losses.reconstruction(verdict.reconstruction, jax.lax.stop_gradient((face + 1.0) / 2.0))
    terms = {
        "adversarial": jnp.mean(losses.adversarial(verdict.realness, real)),
        "margin": jnp.mean(losses.margin(verdict.lengths, label)),
        "reconstruction": jnp.mean(drawn),
    }
    weights = networks.weights
    recognition = terms["margin"] + weights.reconstruction * terms["reconstruction"]
    loss = weights.adversarial * terms["adversarial"] + weights.recognition * recognition
    correct = jnp.argmax(verdict.lengths, axis=1) == label
    lengths = jnp.mean(verdict.lengths, axis=0)
    terms["accuracy"] = jnp.mean(correct.astype(jnp.float32))
    terms |= {f"length_{index}": lengths[index] for index in range(lengths.shape[0])}
    return loss, terms
