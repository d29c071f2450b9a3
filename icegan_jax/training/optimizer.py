"""The optimizer of both networks: Adam or gradient descent, with a schedule of the learning rate."""

import optax

OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("cosine", "constant", "stages")


def build_optimizer(
    steps: int,
    *,
    kind: str,
    learning_rate: float,
    schedule: str,
    b1: float,
    b2: float,
    weight_decay: float,
    stages: int,
    stage_factor: float,
) -> optax.GradientTransformation:
    """Return the optimizer of a training of ``steps`` updates.

    Args:
      steps: updates of a fold.
      kind: one of ``OPTIMIZERS``.
      learning_rate: at the first update.
      schedule: of the learning rate: "cosine" falls to 0 at the last update, "constant" stays, "stages" divides the
        updates into ``stages`` equal parts and multiplies the rate by ``stage_factor`` after each.
      b1: decay of the first moment; of "sgd" the momentum.
      b2: decay of the second moment; unused with "sgd".
      weight_decay: factor of the parameters that are added to the gradient (L2 penalty), as in PyTorch and MATLAB.
    """
    rate: optax.ScalarOrSchedule = learning_rate
    if schedule == "cosine":
        rate = optax.cosine_decay_schedule(learning_rate, steps)
    elif schedule == "stages":
        length = max(1, steps // stages)
        rate = optax.piecewise_constant_schedule(learning_rate, {n * length: stage_factor for n in range(1, stages)})
    optimizer = optax.adam(rate, b1=b1, b2=b2) if kind == "adam" else optax.sgd(rate, momentum=b1)
    return optax.chain(optax.add_decayed_weights(weight_decay), optimizer) if weight_decay else optimizer
