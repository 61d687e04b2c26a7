"""torchvision's residual blocks with the places where methods go in, and their recomputation.

A block computes ``relu(shortcut(x) + keep * gate(branch(x)))``: the gate is squeeze-excite and
``keep`` the factor of stochastic depth; without the two it does what torchvision's does, operation
by operation.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.models import resnet


class ResidualBlock(nn.Module):
    """What both kinds of block share.

    Attributes:
        se: The gate at the end of the residual branch, (N, C, H, W) to the same; or None.
    """

    se: nn.Module | None
    relu: nn.Module
    downsample: nn.Module | None
    _last_norm: str

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The batch norm that ends the residual branch; its gamma scales the whole branch."""
        return getattr(self, self._last_norm)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Output (N, C', H', W') for input (N, C, H, W).

        Args:
            x: Float (N, C, H, W).
            keep: Factors of the residual branch, float (1,) or one for each image (N,); None is 1.
        """
        out = self._branch(x)
        if self.se is not None:
            out = self.se(out)
        if keep is not None:
            # In the branch's own type: a float32 factor would turn a bf16 activation into float32.
            out = out * keep.view(-1, 1, 1, 1).to(out.dtype)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)

    def _branch(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class BasicBlock(ResidualBlock, resnet.BasicBlock):
    """Two 3x3 convolutions."""

    _last_norm = "bn2"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        resnet.BasicBlock.__init__(self, *arguments, **options)
        self.se = None

    def _branch(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(out))


class Bottleneck(ResidualBlock, resnet.Bottleneck):
    """1x1, 3x3 and 1x1 convolutions; the 3x3 has the stride, as in torchvision (V1.5)."""

    _last_norm = "bn3"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        resnet.Bottleneck.__init__(self, *arguments, **options)
        self.se = None

    def _branch(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.bn3(self.conv3(out))


def run_and_forget(block: ResidualBlock, x: Tensor, keep: Tensor | None) -> Tensor:
    """Run a block that keeps only its input for the backward pass and recomputes the rest there.

    Gradients and batch-norm statistics are bit for bit those of ``block(x, keep)``.

    Args:
        block: In training mode.
        x: Float (N, C, H, W).
        keep: As for the block.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _norms_on_scratch(block)

    # Nothing in a block is random, so there is no random state to bring back.
    return checkpoint(
        block, x, keep, use_reentrant=False, preserve_rng_state=False, context_fn=contexts
    )


@contextmanager
def _norms_on_scratch(block: nn.Module) -> Iterator[None]:
    """The second forward pass over a batch must not move the running statistics again.

    Norms that do not track at all would save fewer tensors, which `checkpoint` takes for an error.
    """
    norms = [norm for norm in block.modules() if isinstance(norm, nn.BatchNorm2d)]
    counted = [(norm, name, buffer) for norm in norms for name, buffer in norm.named_buffers()]
    for norm, name, buffer in counted:
        setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, name, buffer in counted:
            setattr(norm, name, buffer)
