"""Zero-init: each residual branch begins as nothing, so that the network begins shallow."""

from collections.abc import Iterable

from torch import nn


def zero_last_gammas(last_norms: Iterable[nn.BatchNorm2d]) -> None:
    """Set the gammas of the norms that end the residual branches to 0.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 5.1.
    """
    for norm in last_norms:
        nn.init.zeros_(norm.weight)
