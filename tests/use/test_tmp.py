import numpy as np

from icegan_jax.use.model import load_model


def test_a(run_dir):
    m = load_model(run_dir, generator=True)
    o = np.random.default_rng(0).integers(0, 256, (1, 32, 32), np.uint8)
    for k in range(3):
        c = m.change(o, np.array([k], np.int32), np.array([0], np.int32))
        print(k, np.abs(c[..., :2]).max(), np.abs(c[..., 2]).max(), np.abs(c[..., 2]).mean())
