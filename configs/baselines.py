"""The systems that ICE-GAN is compared with, on the same faces, folds and rules (docs/compared-systems.md).

    python -m icegan_jax.main --config=configs/baselines.py --workdir=runs/ststnet --config.method=ststnet

Each system has the input and the training of its authors, where these are known; the last step is scored. The best
test epoch, which some authors report, is shown beside it with --config.training.evaluate_every=50
--config.evaluation.oracle=True.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import loso
from icegan_jax.errors import UserError, did_you_mean

# Sources: docs/compared-systems.md. "batch": clips per update, "rate": learning rate, "decay": weight decay.
SETTINGS: dict[str, dict[str, Any]] = {
    "flow_svm": {},
    "lbp_top": {},
    "ststnet": {"size": 28, "steps": 500, "batch": 256, "rate": 5e-5, "decay": 1e-4},  # one update per epoch
    "off_apexnet": {"size": 28, "epochs": 3000, "batch": 256, "rate": 1e-4},  # the batch is not published
    "sssnet": {"size": 64, "epochs": 200, "batch": 32, "rate": 1e-4, "decay": 1e-3},
    "rcn_a": {"size": 60, "epochs": 20, "batch": 64, "rate": 5e-4, "kind": "sgd"},
    "dual_inception": {"size": 28, "epochs": 40, "batch": 3, "rate": 1e-4},
    "capsulenet": {"size": 224, "epochs": 30, "batch": 32, "rate": 1e-4, "stages": 30, "factor": 0.9, "mirror": True},
    # The published rates are 1e-5 for a trunk with ImageNet weights and 1e-3 for the heads.
    "emr": {"size": 224, "epochs": 100, "batch": 32, "rate": 1e-4, "decay": 1e-6, "flow": "farneback"},
    "micro_attention": {
        "size": 224,
        "epochs": 50,
        "batch": 16,
        "rate": 1e-2,
        "decay": 5e-6,
        "kind": "sgd",
        "stages": 5,
        "factor": 0.1,
        "mirror": True,
    },
}


def get_config(method: str = "ststnet") -> ConfigDict:
    if method not in SETTINGS:
        hint = did_you_mean(method, list(SETTINGS))
        raise UserError(f"config.method is {method!r}{hint}; give one of {', '.join(SETTINGS)}")
    settings = SETTINGS[method]
    config = loso.get_config()
    config.method = method
    config.generator.kind = "none"
    config.input.size = settings.get("size", 128)
    config.input.flow = settings.get("flow", "tvl1")
    config.optimizer.kind = settings.get("kind", "adam")
    config.optimizer.learning_rate = settings.get("rate", 1e-4)
    config.optimizer.weight_decay = settings.get("decay", 0.0)
    config.optimizer.stages = settings.get("stages", 1)
    config.optimizer.stage_factor = settings.get("factor", 1.0)
    config.optimizer.schedule = "stages" if config.optimizer.stages > 1 else "constant"
    config.training.epochs = settings.get("epochs", 1)
    config.training.steps = settings.get("steps", 0)
    config.training.batch_size = settings.get("batch", 16)
    config.training.steps_per_call = 50
    config.training.checkpoint_every = 10_000
    config.augmentation.mirror = settings.get("mirror", False)
    config.training.collapse_after = 0  # the monitor's advice is about capsules and routing
    if method == "capsulenet":
        config.loss.margin_present, config.loss.margin_absent = 0.99, 0.01
    return config
