from icegan_jax.evaluation.predictions import Prediction

FIVE = ("happiness", "disgust", "repression", "surprise", "so, what")


def rows() -> list[Prediction]:
    return [
        Prediction("casme2", "1", "a", 0, 0, (0.9, 0.1, 0.25)),
        Prediction("casme2", "2", "a", 1, 1, (0.1, 0.8, 0.2)),
        Prediction("casme2", "2", "b, with comma", 2, 0, (0.5, 0.1, 0.4)),
        Prediction("samm", "1", "a", 0, 1, (0.3, 0.6, 0.1)),
        Prediction("samm", "2", "ü", 2, 2, (0.3, 0.1, 0.7)),
    ]


def five_rows() -> list[Prediction]:
    """Five classes, of which repression has no clip."""
    return [
        Prediction("own", subject, f"clip{label}", label, guess, (0.1, 0.2, 0.3, 0.4, 0.5))
        for subject in ("1", "2")
        for label, guess in ((0, 0), (1, 4), (3, 3), (4, 2))
    ] + [Prediction("own", "2", "more", 4, 4, (0.1, 0.2, 0.3, 0.4, 0.5))]
