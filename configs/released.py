"""As loso.py, but with networks and margin loss as the authors' released definitions have them.

    python -m icegan_jax.main --config=configs/released.py --workdir=runs/released

No training code, data code or weights came with them; docs/design.md, "Networks" (right column) holds what is known
of them. Six differences: the form of the graph reasoning, the routing's softmax, the types of primary capsules, d_adv,
the reconstruction network, and margins without squares. Parameters (--parameters): G 40,282,753, D 97,766,400, and with
--config.model.expression_dimension=8, 16, 64, 128: D 96,943,104, 97,217,536, 98,864,128, 101,059,584. Most of D are
the 5120 x 16384 weights of the reconstruction; D's parameters and their Adam take 1.2 GB a fold, loso.py's 0.3.
"""

from ml_collections import ConfigDict

from configs import loso


def get_config() -> ConfigDict:
    config = loso.get_config()
    config.model.grm = "compact"
    config.model.primary_types = 16
    config.model.primary_dimension = 8
    config.model.adversarial_dimension = 0  # that of ExpCaps
    config.model.routing_axis = "input"
    config.model.reconstruction_hidden = (512, 1024, 5120)
    config.model.reconstruction_spectral = True
    config.loss.margin_power = 1
    return config
