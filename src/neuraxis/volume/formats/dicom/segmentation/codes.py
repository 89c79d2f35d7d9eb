"""Coded terms for structures, as DICOM SEG wants them: SNOMED CT and DICOM's own, from pydicom's dictionary.

A name that is not known is coded as tissue, which is always valid; the name itself stands beside it as the label.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom.sr.codedict import codes

ANATOMY, TISSUE, ABNORMAL, SUBSTANCE = (
    "AnatomicalStructure", "Tissue", "MorphologicallyAbnormalStructure", "BodySubstance",
)  # fmt: skip
# The first pattern that a name in small letters, words apart, matches says the category and the term.
_TERMS: tuple[tuple[str, str, str], ...] = (
    (r"non enhancing( lesion| tumou?r( core)?)?|necrotic( and non enhancing)?( tumou?r)?( core)?", ABNORMAL,
     "NonEnhancingLesion"),
    (r"enhancing( lesion| tumou?r)?|et", ABNORMAL, "EnhancingLesion"),
    (r"(peritumou?ral )?(o?edema|oedematous tissue|ed)( invaded tissue)?", ABNORMAL, "Edema"),
    (r"necrosis", ABNORMAL, "Necrosis"),
    (r"(whole |gross )?tumou?r( core)?|wt|tc|mask tumou?r|neoplasm|glioma", ABNORMAL, "Neoplasm"),
    (r"metastas[ie]s", ABNORMAL, "NeoplasmSecondary"),
    (r"(ms |wm |white matter |brain )?lesions?|ms|(new|vanished) lesions?|white matter hyperintensit(y|ies)|wmh|plaque",
     ABNORMAL, "Lesion"),
    (r"ha?emorrhage|bleed(ing)?", ABNORMAL, "Hemorrhage"),
    (r"cyst", ABNORMAL, "Cyst"),
    (r"(left |right )?(anterior |posterior )?hippocamp(us|al)( head| body| tail)?", ANATOMY, "Hippocampus"),
    (r"(left |right )?amygdala", ANATOMY, "Amygdala"),
    (r"(left |right )?thalamus( proper)?", ANATOMY, "Thalamus"),
    (r"(left |right )?putamen", ANATOMY, "Putamen"),
    (r"(left |right )?caudate( nucleus)?", ANATOMY, "CaudateNucleus"),
    (r"(left |right )?(globus )?pallidus", ANATOMY, "GlobusPallidus"),
    (r"cerebellum", ANATOMY, "Cerebellum"),
    (r"brain ?stem", ANATOMY, "BrainStem"),
    (r"brain( mask)?", ANATOMY, "Brain"),
    (r"(left |right )?(lateral )?ventricles?", ANATOMY, "BrainVentricle"),
    (r"(cerebral |brain )?white matter|wm", TISSUE, "WhiteMatter"),
    (r"(cerebral |brain )?gr[ae]y matter|gm", TISSUE, "GrayMatter"),
    (r"(spinal )?cord gr[ae]y matter", TISSUE, "SpinalCordGrayMatter"),
    (r"(spinal )?cord white matter", TISSUE, "SpinalCordWhiteMatter"),
    (r"cerebro ?spinal fluid|csf", SUBSTANCE, "CerebrospinalFluid"),
    (r"(spinal )?cord", ANATOMY, "SpinalCord"),
    (r"spinal canal", ANATOMY, "SpinalCanalStructure"),
    (r"skull", ANATOMY, "Skull"),
    (r"bones?", TISSUE, "Bone"),
    (r"sacrum", ANATOMY, "Sacrum"),
    (r"atlas", ANATOMY, "C1Vertebra"),
    (r"axis", ANATOMY, "C2Vertebra"),
    (r"(vertebrae?|spine|vertebral body|vertebral bodies)", ANATOMY, "Vertebra"),
    (r"(left |right )?kidneys?", ANATOMY, "Kidney"),
    (r"(left |right )?lungs?", ANATOMY, "Lung"),
    (r"liver", ANATOMY, "Liver"),
    (r"spleen", ANATOMY, "Spleen"),
    (r"pancreas", ANATOMY, "Pancreas"),
    (r"prostate", ANATOMY, "Prostate"),
    (r"heart", ANATOMY, "Heart"),
    (r"stomach", ANATOMY, "Stomach"),
    (r"gall ?bladder", ANATOMY, "Gallbladder"),
    (r"(urinary )?bladder", ANATOMY, "Bladder"),
    (r"aorta", ANATOMY, "Aorta"),
    (r"muscles?", TISSUE, "Muscle"),
    (r"fat", TISSUE, "Fat"),
)  # fmt: skip
_VERTEBRA = re.compile(r"(?:vertebrae? )?([ctl])(\d{1,2})(?: vertebra)?")
_LIMITS = {"c": 7, "t": 12, "l": 5}


@dataclass(frozen=True)
class Code:
    """What a segment is, in coded terms: category and type, each as value, scheme and meaning.

    Attributes:
        category: such as ("123037004", "SCT", "Anatomical Structure").
        type: such as ("5366008", "SCT", "Hippocampus").
    """

    category: tuple[str, str, str]
    type: tuple[str, str, str]


def code_of(name: str) -> Code:
    """Return the coded terms of a structure by its name.

    >>> code_of("C3").type
    ('113205007', 'SCT', 'C3 vertebra')
    >>> code_of("something new").type
    ('85756007', 'SCT', 'Tissue')
    """
    plain = " ".join(re.findall(r"[a-z]+\d*|\d+", name.casefold()))
    match = _VERTEBRA.fullmatch(plain)
    if match and 1 <= int(match[2]) <= _LIMITS[match[1]]:
        return Code(_term(ANATOMY), _term(f"{match[1].upper()}{int(match[2])}Vertebra"))
    for pattern, category, term in _TERMS:
        if re.fullmatch(pattern, plain):
            return Code(_term(category), _term(term))
    return Code(_term(TISSUE), _term(TISSUE))


def _term(keyword: str) -> tuple[str, str, str]:
    found = getattr(codes.cid7159 if keyword in ("EnhancingLesion", "NonEnhancingLesion") else codes.SCT, keyword)
    return found.value, found.scheme_designator, found.meaning
