"""Single-database evaluation (paper, Table II): as loso.py, trained and tested within one database.

python -m icegan_jax.main --config=configs/sde.py --workdir=runs/casme2
python -m icegan_jax.main --config=configs/sde.py --workdir=runs/samm --config.data.database=samm
"""

from ml_collections import ConfigDict

from configs import loso


def get_config() -> ConfigDict:
    config = loso.get_config()
    config.data.database = "casme2"
    return config
