"""ICE-GAN (Yu et al., IJCNN 2021) in JAX: micro-expression synthesis and recognition."""

__version__ = "0.1.0"
