"""What SAM and SAM 2 have in common: slices are embedded, prompts are answered, and the mask decoder is fine-tuned.

Beside the mask decoder learns a small head that marks where each structure roughly is, on the encoder's own grid: an
automatic source of prompts that needs no other model. A bundle holds all weights and needs no base any more.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from neuraxis.errors import RecipeError
from neuraxis.networks.sam.backbone import Backbone
from neuraxis.networks.sam.cache import Embedding, rounded
from neuraxis.networks.sam.canvas import Canvas
from neuraxis.networks.sam.options import SamOptions
from neuraxis.networks.sam.prompts import Jitter, Prompt, coarse_prompts, drawn_prompts

SURE, MOST_CHANNELS, TOGETHER, HEAD = 10.0, 3, 32, 64
RARE = -2.0  # the head's first guess: a structure is in one cell of eight
Shape = tuple[int, int]


class Promptable(nn.Module):
    """A promptable network for slices of scans.

    Args:
        options: of its own type, with the architecture.
        channels: of the image, at most 3.
        outputs: of the network, the background among them.

    Attributes:
        backbone_kind: the model behind it.
        exports_onnx: false, since what it is asked is no tensor.
        structures: the outputs but for the background.

    Raises:
        RecipeError: too many channels, or no architecture.
    """

    backbone_kind: ClassVar[type[Backbone]] = Backbone
    exports_onnx: ClassVar[bool] = False

    def __init__(self, options: SamOptions, channels: int, outputs: int) -> None:
        super().__init__()
        if channels > MOST_CHANNELS:
            raise RecipeError(
                f"network '{options.kinds[0]}' sees pictures of at most 3 channels, but the image has {channels}. "
                "Leave some out, or take another network."
            )
        if not options.architecture:
            raise RecipeError(f"network '{options.kinds[0]}' has no architecture yet: plan with the data first.")
        self.options, self.outputs = options, outputs
        self.structures = outputs - int(options.background)
        self.backbone = self.backbone_kind(options)
        last = nn.Conv2d(HEAD, self.structures, 1)
        nn.init.constant_(last.bias, RARE)
        self.head = nn.Sequential(nn.Conv2d(self.backbone.width, HEAD, 3, padding=1), nn.GELU(), last)
        self._own_loss: torch.Tensor | None = None

    def begin_with_base(self) -> None:
        """Take the weights of the base; the image encoder then stands aside (see `Backbone`).

        Raises:
            BundleError: the base is not there, or is not the one that was planned with.
        """
        self.backbone.begin_with_base()

    def keep_embeddings(self, folder: Path) -> None:
        """Keep embeddings of slices in a folder, where the encoder is frozen."""
        self.backbone.keep_embeddings(folder)

    def shipped(self) -> nn.Module:
        """Return a network for a bundle: whole, with low-rank updates merged, on the processor."""
        self._own_loss = None
        whole = copy.deepcopy(self).cpu()
        whole.backbone.make_whole()
        return whole.eval()

    # --- one slice, for whoever segments a scan ---

    def see(self, pixels: np.ndarray) -> Embedding:
        """Return the embedding of one slice (C, A, B), in half precision on the processor."""
        return rounded(self.backbone.embed(torch.from_numpy(pixels)[None].to(self._device)))

    def coarse_map(self, seen: Embedding) -> np.ndarray:
        """Return logits (structures, G, G) of where each structure roughly is in a slice that was seen."""
        found: np.ndarray = self.head(_on(self._device, seen)[-1])[0].float().cpu().numpy()
        return found

    def answer_to(self, seen: Embedding, prompts: Sequence[Prompt], shape: Shape) -> np.ndarray:
        """Return logits (P, A, B) of a slice that was seen, one map for each prompt."""
        found: np.ndarray = self._decode(_on(self._device, seen), [0] * len(prompts), prompts, shape).cpu().numpy()
        return found

    # --- a batch of slices ---

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Segment windows (B, C, X, Y, Z) of one slice each, prompted by the network's own coarse map.

        Returns:
            Logits (B, K, X, Y, Z).
        """
        slices = images.squeeze(2 + self.options.flat_axis)
        shape = (slices.shape[2], slices.shape[3])
        embedding = self.backbone.embed(slices)
        maps = self.head(embedding[-1]).detach().float().cpu().numpy()
        asked = [
            (number, structure, prompt)
            for number, each in enumerate(maps)
            for structure, logits in enumerate(each)
            for prompt in coarse_prompts(logits > 0, shape, self.options.margin)
        ]
        return self._assembled(embedding, asked, shape).unsqueeze(2 + self.options.flat_axis)

    def learn(self, images: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Segment windows, prompted from their targets with jitter, every structure in every slice.

        Args:
            images: (B, C, X, Y, Z), one slice each.
            targets: (B, 1, ...) output numbers, or (B, K, ...) 0 and 1 or shares; see `losses.compared.compare`.

        Returns:
            Logits (B, K, X, Y, Z), and the targets without pieces that nobody asked for, so that it learns to answer
            what it is asked.
        """
        axis, options = 2 + self.options.flat_axis, self.options
        slices, flat = images.squeeze(axis), targets.squeeze(axis)
        shape, first = (slices.shape[2], slices.shape[3]), self.outputs - self.structures
        masks = masks_of(flat, first, self.outputs)
        draws = np.random.default_rng(int(torch.randint(2**62, ()).item()))
        how = Jitter(options.points, options.jitter, options.margin, options.most_prompts)
        embedding, wanted = self.backbone.embed(slices), flat.clone()
        asked: list[tuple[int, int, Prompt]] = []
        for number, structure in np.ndindex(*masks.shape[:2]):
            mask = masks[number, structure]
            prompts, prompted = drawn_prompts(mask, how, draws)
            asked += [(number, structure, prompt) for prompt in prompts]
            take_out(wanted[number], first + structure, torch.from_numpy(mask & ~prompted).to(flat.device))
        self._own_loss = self._loss_of_head(embedding, torch.from_numpy(masks).to(slices.device), shape)
        return self._assembled(embedding, asked, shape).unsqueeze(axis), wanted.unsqueeze(axis)

    def own_loss(self) -> torch.Tensor | None:
        """Return the loss of the coarse map of the last batch that was learned from."""
        loss, self._own_loss = self._own_loss, None
        return loss

    def _decode(
        self, embedding: Embedding, owners: Sequence[int], prompts: Sequence[Prompt], shape: Shape
    ) -> torch.Tensor:
        """Return logits (P, A, B), float32, of prompts that each ask about the slice of their owner's number."""
        canvas, device = Canvas(shape, self.backbone.size), embedding[-1].device
        found: dict[int, torch.Tensor] = {}
        for numbers in _alike(prompts):
            some = [prompts[number] for number in numbers]
            boxes, points = canvas.boxes(some), canvas.points(some)
            asked = {} if boxes is None else {"input_boxes": boxes.to(device)}
            if points is not None:
                asked |= {"input_points": points[0].to(device), "input_labels": points[1].to(device)}
            chosen = torch.tensor([owners[number] for number in numbers], device=device)
            logits = self.backbone.answer(tuple(part.index_select(0, chosen) for part in embedding), asked)
            found |= dict(zip(numbers, canvas.voxels(logits.float()), strict=True))
        return torch.stack([found[number] for number in range(len(prompts))])

    def _assembled(self, embedding: Embedding, asked: Sequence[tuple[int, int, Prompt]], shape: Shape) -> torch.Tensor:
        """Answer prompts (slice, structure, prompt); return logits (B, K, A, B), of several prompts the highest."""
        count = embedding[-1].shape[0]
        rows: list[list[torch.Tensor]] = [[] for _ in range(count * self.structures)]
        if asked:
            answers = self._decode(embedding, [one[0] for one in asked], [one[2] for one in asked], shape)
            for (number, structure, _), answer in zip(asked, answers, strict=True):
                rows[number * self.structures + structure].append(answer)
        nothing = embedding[-1].new_full(shape, -SURE)
        flat = torch.stack([torch.stack(row).amax(0) if row else nothing for row in rows])
        logits = flat.view(count, self.structures, *shape)
        return F.pad(logits, (0, 0, 0, 0, 1, 0)) if self.options.background else logits

    def _loss_of_head(self, embedding: Embedding, masks: torch.Tensor, shape: Shape) -> torch.Tensor:
        """Return cross-entropy and Dice loss of the coarse map, a cell being there where any of its voxels is."""
        with torch.autocast(masks.device.type, enabled=False):
            logits = self.head(embedding[-1].float())
            there = Canvas(shape, self.backbone.size).cells(masks, logits.shape[-1])
            probability, axes = logits.sigmoid(), (0, 2, 3)
            overlap = 2 * (probability * there).sum(axes) + 1
            dice = 1 - overlap / (probability.sum(axes) + there.sum(axes) + 1)
            return F.binary_cross_entropy_with_logits(logits, there) + dice.mean()

    @property
    def _device(self) -> torch.device:
        return next(self.head.parameters()).device


def _on(device: torch.device, seen: Embedding) -> Embedding:
    return tuple(part.to(device).float() for part in seen)


def masks_of(targets: torch.Tensor, first: int, outputs: int) -> np.ndarray:
    """Return where each structure of targets (B, T, A, B) is, bool (B, outputs - first, A, B).

    Args:
        targets: output numbers (T = 1), or 0 and 1, or shares of each output.
        first: the first output that is no background.
        outputs: of the network.
    """
    if targets.is_floating_point():
        there = targets[:, first:] > 0.5
    elif targets.shape[1] == outputs:
        there = targets[:, first:] == 1
    else:
        there = torch.cat([targets == number for number in range(first, outputs)], 1)
    return np.asarray(there.cpu().numpy())


def take_out(target: torch.Tensor, output: int, voxels: torch.Tensor) -> None:
    """Make voxels (A, B) of an output background in a target (T, A, B), in place.

    Regions have no background: none is there any more. Shares are the background's, where there is one.
    """
    if target.is_floating_point() and output:
        target[0, voxels] += target[output, voxels]
    target[output if target.shape[0] > 1 else 0, voxels] = 0


def _alike(prompts: Sequence[Prompt]) -> Iterator[list[int]]:
    """Yield the numbers of prompts that can be asked at once: with a box or without, with points or without."""
    groups: dict[tuple[bool, bool], list[int]] = {}
    for number, prompt in enumerate(prompts):
        groups.setdefault((prompt.box is not None, bool(prompt.points)), []).append(number)
    for numbers in groups.values():
        for first in range(0, len(numbers), TOGETHER):
            yield numbers[first : first + TOGETHER]
