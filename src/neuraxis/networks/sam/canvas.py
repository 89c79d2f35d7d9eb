"""Between slices of any shape and the square picture that an image encoder sees.

A slice (A, B) lies in the corner of a square of max(A, B) voxels, which becomes the picture of S x S pixels, the
embedding and the mask, each in one resize, so that no side is ever stretched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from neuraxis.networks.sam.prompts import Box, Prompt

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PAD = -10  # transformers' label of a point that fills up a row
Tensors = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Canvas:
    """One shape of slices, and the picture that they become.

    Attributes:
        shape: voxels (A, B) of a slice.
        size: pixels along each side of the picture.
    """

    shape: tuple[int, int]
    size: int

    @property
    def side(self) -> int:
        """Voxels along each side of the square."""
        return max(self.shape)

    def pixels(self, slices: torch.Tensor, imagenet: bool) -> torch.Tensor:
        """Return pictures (B, 3, S, S) of slices (B, C, A, B) in 0..1, C at most 3; around them is 0."""
        channels = slices.shape[1]
        if channels == 1:
            slices = slices.expand(-1, 3, -1, -1)
        elif channels == 2:
            slices = torch.cat([slices, slices.mean(1, keepdim=True)], 1)
        if imagenet:
            mean, std = (slices.new_tensor(each).view(1, 3, 1, 1) for each in (MEAN, STD))
            slices = (slices - mean) / std
        square = F.pad(slices, (0, self.side - self.shape[1], 0, self.side - self.shape[0]))
        size = (self.size, self.size)
        return F.interpolate(square, size, mode="bilinear", align_corners=False, antialias=self.side > self.size)

    def voxels(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps (P, L, L) of the picture as maps (P, A, B) of the slice, interpolated."""
        square = F.interpolate(maps[:, None], (self.side, self.side), mode="bilinear", align_corners=False)
        return square[:, 0, : self.shape[0], : self.shape[1]]

    def cells(self, masks: torch.Tensor, count: int) -> torch.Tensor:
        """Return which of count x count cells of the square hold any voxel of masks (..., A, B)."""
        padded = F.pad(masks.float(), (0, self.side - self.shape[1], 0, self.side - self.shape[0]))
        return F.adaptive_max_pool2d(padded.flatten(0, -3)[:, None], count)[:, 0].view(*masks.shape[:-2], count, count)

    def boxes(self, prompts: Sequence[Prompt]) -> torch.Tensor | None:
        """Return the boxes (P, 1, 4) of prompts in pixels, x before y; None where they have none."""
        boxes = [prompt.box for prompt in prompts if prompt.box is not None]
        if not boxes:
            return None
        return torch.tensor([[self._pixel_box(box)] for box in boxes], dtype=torch.float32)

    def points(self, prompts: Sequence[Prompt]) -> Tensors | None:
        """Return the points (P, 1, N, 2) of prompts in pixels, x before y, and their labels (P, 1, N)."""
        most = max(len(prompt.points) for prompt in prompts)
        if not most:
            return None
        places = torch.zeros(len(prompts), 1, most, 2)
        labels = torch.full((len(prompts), 1, most), PAD, dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            for column, (a, b, inside) in enumerate(prompt.points):
                places[row, 0, column] = torch.tensor([self._pixel(b), self._pixel(a)])
                labels[row, 0, column] = int(inside)
        return places, labels

    def _pixel(self, edge: float) -> float:
        """Return where a place in voxels lies among the pixels, counted from the middle of the first."""
        return edge * self.size / self.side - 0.5

    def _pixel_box(self, box: Box) -> list[float]:
        a0, b0, a1, b1 = (self._pixel(edge) for edge in box)
        return [b0, a0, b1, a1]
