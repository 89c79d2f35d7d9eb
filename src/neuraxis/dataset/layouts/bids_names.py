"""What a file's name says in BIDS: entities such as `sub-01`, suffixes, and whether it is an image or a label map.

Derivatives of the Spinal Cord Toolbox keep the suffix of the image and put what was segmented behind it, as in
`sub-01_T2w_label-SC_seg` or `sub-01_T2w_lesion-manual`; both ways are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuraxis.volume.formats.any_format import stem

IMAGES = {
    *("t1w", "t2w", "flair", "pdw", "pdt2", "t2starw", "t2star", "t1map", "t2map", "t1rho", "inplanet1", "inplanet2"),
    *("unit1", "mts", "mtr", "mtsat", "megre", "mese", "vfa", "irt1", "mp2rage", "swi", "chimap", "angio", "bold"),
    *("cbv", "sbref", "dwi", "asl", "cest", "ct", "pet", "epi", "fa", "adc", "trace"),
}
SERIES = {"bold", "cbv", "dwi", "asl", "cest", "megre", "mese", "pet"}
MASKS = {"mask", "seg", "roi", "lesion", "gmseg", "wmseg", "csfseg"}
NUMBERED, SOFT = {"dseg"}, {"probseg", "softseg"}
# Entities that name the scan, so that an image and its label map share them.
OF_SCAN = ("task", "acq", "ce", "rec", "dir", "run", "echo", "part", "inv", "mt", "flip")
_HOW = {"manual", "man", "seg"}


@dataclass(frozen=True)
class BidsName:
    """A file's name, taken apart.

    Attributes:
        path: of the file.
        entities: key to value, as in `sub-01`.
        words: parts without a key, the last of which is the suffix.
    """

    path: Path
    entities: Mapping[str, str]
    words: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> BidsName:
        """Take a name apart."""
        parts = stem(path).split("_")
        keyed = dict(part.split("-", 1) for part in parts if re.fullmatch(r"[A-Za-z]+-.+", part))
        return cls(path, keyed, tuple(part for part in parts if not re.fullmatch(r"[A-Za-z]+-.+", part)))

    @property
    def suffix(self) -> str:
        """The last word, in lower case."""
        return self.words[-1].casefold() if self.words else ""

    @property
    def image(self) -> str:
        """The suffix of the scan that the name speaks of, as written; empty where it tells none."""
        return next((word for word in self.words if word.casefold() in IMAGES), "")

    @property
    def kind(self) -> str:
        """What it is: "image", "mask", "numbered" or "soft"; empty for others, such as points and centre lines."""
        keyed = {key.casefold(): value for key, value in self.entities.items()}
        if self.suffix in NUMBERED:
            return "numbered"
        if self.suffix in SOFT:
            return "soft"
        if self.suffix in MASKS or any(keyed.get(key, "").casefold() in _HOW for key in ("seg", "gmseg", "lesion")):
            return "mask"
        return "image" if self.suffix in IMAGES and not {"label", "labels"} & keyed.keys() else ""

    @property
    def structure(self) -> str:
        """What a mask shows, such as "SC" or "lesion"."""
        for key in ("label", "desc", "seg", "gmseg", "lesion"):
            told = self.entities.get(key)
            if told and key in ("label", "desc"):
                return told
            if told:
                return {"seg": "seg", "gmseg": "GM", "lesion": "lesion"}[key]
        return {"gmseg": "GM", "wmseg": "WM", "csfseg": "CSF"}.get(self.suffix, self.suffix)

    @property
    def channel(self) -> str:
        """What kind of scan it is, with the entities that tell it from others: "acq-MTon_MTS"."""
        kept = [f"{key}-{value}" for key, value in self.entities.items() if key in OF_SCAN and key != "run"]
        return "_".join([*kept, self.image])

    @property
    def scan(self) -> tuple[str, str, str]:
        """Subject, session and run; those that are not told are empty."""
        return self.entities.get("sub", ""), self.entities.get("ses", ""), self.entities.get("run", "")

    def belongs_to(self, image: BidsName) -> bool:
        """Tell whether a label map may be of an image: nothing that both tell differs."""
        if self.image and self.image.casefold() != image.image.casefold():
            return False
        told = self.entities.keys() & image.entities.keys() & {"sub", "ses", *OF_SCAN}
        return all(self.entities[key] == image.entities[key] for key in told)
