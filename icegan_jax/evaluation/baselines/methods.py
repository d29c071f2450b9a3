"""The systems that ICE-GAN is compared with (paper, Tables I and II; BASELINES in docs/compared-systems.md), by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.evaluation.baselines.pair_features import mean_flows

from icegan_jax.models.baselines.dual_inception import DualInception


from icegan_jax.models.baselines.off_apexnet import OFFApexNet
from icegan_jax.models.baselines.rcn import RCNA
from icegan_jax.models.baselines.sssnet import SSSNet
from icegan_jax.models.baselines.ststnet import STSTNet

ICEGAN = "icegan"  # the system of this program, which is no compared one
INPUTS = ("motion", "apex", "clip")


@dataclass(frozen=True)
class Method:
    """A compared system.

    Attributes:
      title: its name and source, for tables and reports.
      input: what it reads, one of ``INPUTS``, see ``data.baseline_input``; "pairs" of a system with ``features``.
      network: builds the network of a number of classes; None for a linear SVM.
      features: computes features float[n, d] of all pairs for a linear SVM; None for a network.
      options: arguments of ``BaselineClassifier``.
      deviations: where this program's form differs from the source, for the row of a table.
    """

    title: str
    input: str
    network: Callable[[int], nn.Module] | None = None
    features: Callable[[Pairs], NDArray[np.floating]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    deviations: str = ""


def _mean_flows(pairs: Pairs) -> NDArray[np.floating]:
    return mean_flows(zip(pairs.onset, pairs.apex, strict=True))


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "flow_svm": Method("mean optical flow and a linear SVM", "pairs", features=_mean_flows),
        "ststnet": Method(
            "STSTNet (Liong et al. 2019)",
            "motion",
            lambda classes: STSTNet(classes=classes),
            options={"center": True},
            deviations="mean picture of the last 100 batches instead of the training set; TV-L1 of scikit-image",
        ),
        "off_apexnet": Method("OFF-ApexNet (Gan et al. 2019)", "motion", lambda classes: OFFApexNet(classes=classes)),
        "sssnet": Method("SSSNet (Varanka et al. 2023)", "motion", lambda classes: SSSNet(classes=classes)),
        "rcn_a": Method("RCN-A (Xia et al. 2020)", "motion", lambda classes: RCNA(classes=classes)),
        "dual_inception": Method(
            "Dual-Inception (Zhou et al. 2019)", "motion", lambda classes: DualInception(classes=classes)
        ),
    }
)
