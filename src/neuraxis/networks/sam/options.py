"""The options of promptable networks, frozen and without torch."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from neuraxis.networks.topology import Topology

Source = Literal["coarse", "centre-line", "previous"]


class SamOptions(BaseModel):
    """What SAM and MedSAM take (Kirillov et al. 2023; Ma et al. 2024).

    Attributes:
        flat_axis: the axis across which the scan is seen slice by slice: 0, 1 or 2.
        base: weights to begin with: a folder with `config.json` and `model.safetensors`, or a name on the Hugging Face
            hub, such as "facebook/sam-vit-base". Read when training begins; a bundle holds all weights itself.
        base_hash: SHA-256 of that `model.safetensors`; planning writes it down.
        architecture: the `config.json` of the base; planning writes it down.
        background: whether the first output is the background; regions have none.
        pixels: how intensities are handed on: "imagenet" as SAM and SAM 2 were trained, "unit", from 0 to 1, as MedSAM
            was.
        lora_rank: rank of the low-rank updates of the image encoder's attention (Hu et al. 2022); 0 freezes the
            encoder, whose embeddings are then computed once and kept.
        source: where prompts come from when a scan is segmented and nobody says otherwise: "coarse", a coarse map that
            the network itself predicts; "centre-line", a line through all slices of that map; "previous", its surest
            slice, and from there the slice before.
        points: share of the prompts in training that are a point; the others are boxes, in [0, 1].
        jitter: how far the edges of a box and a point are moved at most in training, in sides of the box.
        margin: voxels between what is prompted and the box around it.
        most_prompts: pieces of each structure in a slice that are prompted in training at most, of which the others are
            background then; all are prompted in a prediction.
        cache_gb: what the embeddings kept on disk may take, in GiB; 0 keeps none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    kinds: ClassVar[tuple[str, ...]] = ("sam",)
    whole_slices: ClassVar[bool] = True

    flat_axis: Literal[0, 1, 2] = 2
    base: str = ""
    base_hash: str = ""
    architecture: dict[str, Any] = {}
    background: bool = True
    pixels: Literal["imagenet", "unit"] = "imagenet"
    lora_rank: Annotated[int, Field(ge=0, le=256)] = 0
    source: Source = "coarse"
    points: Annotated[float, Field(ge=0, le=1)] = 0.25
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    margin: Annotated[float, Field(ge=0)] = 2.0
    most_prompts: Annotated[int, Field(ge=1, le=32)] = 4
    cache_gb: Annotated[float, Field(ge=0)] = 10.0

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a flat axis; strides and widths are those of the base."""
        return cls.model_validate({"flat_axis": 2 if flat_axis is None else flat_axis})


class Sam2Options(SamOptions):
    """What SAM 2 takes (Ravi et al. 2024), slice by slice, without its memory: the options of SAM.

    Attributes:
        flat_axis: the axis across which the scan is seen slice by slice: 0, 1 or 2.
        base: weights to begin with: a folder with `config.json` and `model.safetensors`, or a name on the Hugging Face
            hub, such as "facebook/sam2.1-hiera-tiny". Read when training begins; a bundle holds all weights itself.
        base_hash: SHA-256 of that `model.safetensors`; planning writes it down.
        architecture: the `config.json` of the base; planning writes it down.
        background: whether the first output is the background; regions have none.
        pixels: how intensities are handed on: "imagenet" as SAM and SAM 2 were trained, "unit", from 0 to 1, as MedSAM
            was.
        lora_rank: rank of the low-rank updates of the image encoder's attention (Hu et al. 2022); 0 freezes the
            encoder, whose embeddings are then computed once and kept.
        source: where prompts come from when a scan is segmented and nobody says otherwise, as for SAM.
        points: share of the prompts in training that are a point; the others are boxes, in [0, 1].
        jitter: how far the edges of a box and a point are moved at most in training, in sides of the box.
        margin: voxels between what is prompted and the box around it.
        most_prompts: pieces of each structure in a slice that are prompted in training at most, of which the others are
            background then; all are prompted in a prediction.
        cache_gb: what the embeddings kept on disk may take, in GiB; 0 keeps none.
    """

    kinds: ClassVar[tuple[str, ...]] = ("sam2", "sam2_video")
