"""A softmax over the vocabulary that sees it block by block, so that float32 exists for one block only.

The running maximum and sum are those of Milakov and Gimelshein 2018, "Online normalizer calculation for softmax".

Shapes: C rows of a chunk, B tokens of a block, D hidden size.
"""

import torch
from torch import Tensor


class SoftmaxSoFar:
    """What a softmax needs to know of a chunk's logits, block by block, in float32.

    Attributes:
        highest_C1: The highest logit.
        total_C1: The sum of ``exp(logit - highest)``.
        label_C1: The label's logit.
        best_C1: The token of the highest logit, the first of several, int64; where it is asked for.
    """

    def __init__(self, labels_C: Tensor, wants_best: bool = False) -> None:
        self._labels_C1, self._start, self._wants_best = labels_C[:, None], 0, wants_best
        self.highest_C1 = torch.full(self._labels_C1.shape, -torch.inf, device=labels_C.device)
        self.total_C1 = torch.zeros_like(self.highest_C1)
        self.label_C1 = torch.zeros_like(self.highest_C1)
        self.best_C1 = torch.zeros_like(self._labels_C1)

    def add(self, logits_CB: Tensor) -> None:
        """Take the logits of the tokens that follow those seen."""
        highest_C1 = torch.maximum(self.highest_C1, logits_CB.amax(dim=1, keepdim=True).float())
        if self._wants_best:
            place_C1 = logits_CB.argmax(dim=1, keepdim=True) + self._start
            self.best_C1 = torch.where(highest_C1 > self.highest_C1, place_C1, self.best_C1)
        block_C1 = _exponentials(logits_CB, highest_C1).sum(dim=1, keepdim=True)
        self.total_C1 = self.total_C1 * (self.highest_C1 - highest_C1).exp() + block_C1
        self.highest_C1 = highest_C1
        at_C1, here_C1 = self._labels_in_block(self._start, logits_CB)
        self.label_C1 = torch.where(here_C1, logits_CB.gather(1, at_C1).float(), self.label_C1)
        self._start += logits_CB.shape[1]

    def loss(self) -> Tensor:
        """Negative log-likelihoods of the labels, ``[C]``."""
        return (self.total_C1.log() + self.highest_C1 - self.label_C1).squeeze(1)

    def gradient(self, logits: list[Tensor], blocks: tuple[Tensor, ...]) -> Tensor:
        """The losses' gradient for the hidden states, ``[C, D]`` float32; the logits are used up.

        A label's part is taken off before the product, in float32: beside a likely label everything else is small.
        """
        grad_CD = blocks[0].new_zeros(len(self._labels_C1), blocks[0].shape[1], dtype=torch.float32)
        start = 0
        for logits_CB, head_BD in zip(logits, blocks, strict=True):
            parts_CB = _exponentials(logits_CB, self.highest_C1)
            at_C1, here_C1 = self._labels_in_block(start, logits_CB)
            parts_CB.scatter_add_(1, at_C1, torch.where(here_C1, -self.total_C1, 0.0))
            grad_CD += logits_CB.copy_(parts_CB) @ head_BD
            start += logits_CB.shape[1]
        return grad_CD.div_(self.total_C1)

    def _labels_in_block(self, start: int, logits_CB: Tensor) -> tuple[Tensor, Tensor]:
        """Where in the block that begins with token ``start`` each label is (or the nearest place), and whether it is there."""
        at_C1, last = self._labels_C1 - start, logits_CB.shape[1] - 1
        return at_C1.clamp(0, last), (at_C1 >= 0) & (at_C1 <= last)


def _exponentials(logits_CB: Tensor, highest_C1: Tensor) -> Tensor:
    """``exp(logit - highest)`` in float32."""
    return logits_CB.to(torch.float32, copy=True).sub_(highest_C1).exp_()
