"""The recommended settings: as loso.py, with onset and apex as the discriminator's input.

    python -m icegan_jax.main --config=configs/loso_pair.py --workdir=runs/loso_pair

A micro-expression is a change, and the neutral face is known. The reasons of all differences:
docs/how-it-differs-from-the-paper.md, "Differences in the recommended configuration".
"""

from ml_collections import ConfigDict

from configs import loso


def get_config() -> ConfigDict:
    config = loso.get_config()
    config.augmentation.mirror = True
    config.model.recognition_input = "pair"
    config.generator.motion = True
    config.generator.class_gain = 10.0
    config.discriminator.capsule_std = 0.1
    config.training.resting_share = 0.25
    config.loss.adversarial = 0.01
    config.loss.synthesis = 100.0
    config.loss.synthetic_recognition = 0.0
    config.loss.reconstruction = 0.392  # 5e-4 of a sum over 784 pixels, as in Sabour et al. 2017
    return config
