"""The authors' released definitions: as loso.py, with their networks and margin loss.

    python -m icegan_jax.main --config=configs/released.py --workdir=runs/released

The definitions came without training code, data code or weights; docs/design.md, "Networks" (right column) describes
them. The differences are the form of the graph reasoning, the routing's softmax, the types of primary capsules, d_adv,
the reconstruction network, a margin loss without squares, no activation between the PatchGAN's 1x1 convolutions,
capsule lengths without an epsilon, the spectral norm of evaluation, and the initial weights. A defect, the mask of the
reconstruction that depends on the whole batch, is off (discriminator.batch_wide_mask). The parameter counts
(--parameters) are G 40,282,753 and D 97,766,400; with --config.discriminator.expression_dimension=8, 16, 64, 128: D
96,943,104, 97,217,536, 98,864,128, 101,059,584. Most of D's parameters are the 5120 x 16384 weights of the
reconstruction. D's parameters with their Adam state take 1.2 GB per fold, those of loso.py 0.3 GB.
"""

from ml_collections import ConfigDict

from configs import loso


def get_config() -> ConfigDict:
    config = loso.get_config()
    config.model.fixed_spectral_norm = True
    config.model.released_start = True
    config.generator.compact_grm = True
    config.discriminator.pointwise_activation = False
    config.discriminator.exact_lengths = True
    config.discriminator.primary_types = 16
    config.discriminator.primary_dimension = 8
    config.discriminator.adversarial_dimension = config.discriminator.get_ref("expression_dimension")
    config.discriminator.routing_axis = "input"
    config.discriminator.reconstruction_hidden = (512, 1024, 5120)
    config.discriminator.reconstruction_spectral = True
    config.loss.margin_power = 1
    return config
