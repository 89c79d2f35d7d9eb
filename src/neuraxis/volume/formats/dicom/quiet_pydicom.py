"""pydicom without its remarks.

What it logs and warns of repeats values of the header, and those may name the patient. What matters about a file is
said by neuraxis in its own words.
"""

import logging
import warnings

import pydicom
import pydicom.config

warnings.filterwarnings("ignore", module=r"pydicom\..*|highdicom\..*")
for name in ("pydicom", "highdicom", "openjpeg"):
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

__all__ = ["pydicom"]
