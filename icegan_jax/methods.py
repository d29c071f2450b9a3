"""The systems that ICE-GAN is compared with (paper, Tables I and II; docs/compared-systems.md), by name."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.evaluation.baselines.lbp_top import lbp_top_features


@dataclass(frozen=True)
class Method:
    """A compared system.

    Attributes:
      title: its name, for tables and reports; the modules name the sources.
      input: what it reads: "pairs", or "motion", "apex" or "clip", see ``data.baseline_input``.
      network: builds the module of ``models.baselines`` for a number of classes; None for a linear SVM.
      features: computes the features float[n, d] of all pairs for a linear SVM; None for a network.
      options: arguments of ``BaselineClassifier``.
      deviations: where the form of this program differs from the source.
    """

    title: str
    input: str
    network: Callable[[int], Any] | None = None
    features: Callable[[Pairs], NDArray[np.floating]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    deviations: str = ""


def _mean_flows(pairs: Pairs) -> NDArray[np.floating]:
    from icegan_jax.evaluation.baselines.pair_features import mean_flows  # imports scikit-learn, for HOG features

    return mean_flows(zip(pairs.onset, pairs.apex, strict=True))


def _lbp_top(pairs: Pairs) -> NDArray[np.floating]:
    assert pairs.input is not None  # frames of clips
    return lbp_top_features(pairs.input)


def _network(module: str, name: str) -> Callable[[int], Any]:
    """Return the builder of a network, which imports its module first: tables and reports need the titles alone."""
    return lambda classes: getattr(importlib.import_module(f"icegan_jax.models.baselines.{module}"), name)(
        classes=classes
    )


_SCRATCH = "starts without ImageNet weights"

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "lbp_top": Method(
            "LBP-TOP + SVM",
            "clip",
            features=_lbp_top,
            deviations="the classifier of the source is unknown: C = 1 on scaled products, weighted classes",
        ),
        "capsulenet": Method(
            "CapsuleNet",
            "apex",
            _network("capsulenet", "CapsuleNet"),
            options={"has_capsules": True},
            deviations=f"{_SCRATCH}; gray faces; without balancing by neighbors, rotation and color jitter",
        ),
        "dual_inception": Method(
            "Dual-Inception",
            "motion",
            _network("dual_inception", "DualInception"),
            deviations="trained on all databases (--config.protocol=cross_database is the published protocol)",
        ),
        "ststnet": Method(
            "STSTNet",
            "motion",
            _network("ststnet", "STSTNet"),
            options={"center": True},
            deviations="subtracts the mean of the last 100 batches, not of the training set",
        ),
        "emr": Method(
            "ME-Recognizer (EMR)",
            "motion",
            _network("emr", "MERecognizer"),
            options={"unit_scale": False},
            deviations=f"{_SCRATCH}; without CK+ clips, domain branch and magnification; u, v and strain as colors",
        ),
        "micro_attention": Method(
            "MicroAttention",
            "apex",
            _network("micro_attention", "MicroAttention"),
            deviations=f"{_SCRATCH} and without macro-expression training; only mirrored",
        ),
        "off_apexnet": Method(
            "OFF-ApexNet",
            "motion",
            _network("off_apexnet", "OFFApexNet"),
            deviations="after its re-implementations, since the original code is not public",
        ),
        "rcn_a": Method("RCN-A", "motion", _network("rcn", "RCNA")),
        "sssnet": Method(
            "SSSNet", "motion", _network("sssnet", "SSSNet"), deviations="TV-L1 instead of classic+nl-fast"
        ),
        "flow_svm": Method("optical flow + SVM", "pairs", features=_mean_flows),
    }
)
