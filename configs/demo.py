"""A demonstration, in minutes on two CPU cores: LOSO over procedural faces with small networks.

    python -m icegan_jax.main --config=configs/demo.py --workdir=runs/demo
    python -m icegan_jax.main --config=configs/demo.py --workdir=runs/mine --config.data.dir=DATA

The first command renders the faces; the second uses any prepared folder.
"""

from ml_collections import ConfigDict

from configs import loso_pair


def get_config() -> ConfigDict:
    config = loso_pair.get_config()
    config.data.dir = ""
    config.model.width = 0.125
    config.discriminator.primary_types = 4
    config.discriminator.adversarial_dimension = 32
    config.discriminator.expression_dimension = 16
    config.discriminator.reconstruction_width = 0.125  # at full width 17 M weights, a quarter of a small network's time
    config.perceptual.network = "alexnet"
    config.perceptual.layer = "relu1"
    config.training.steps = 70
    config.training.folds_per_device = 8
    config.training.steps_per_call = 5
    config.training.checkpoint_every = 50
    return config
