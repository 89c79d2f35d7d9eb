from __future__ import annotations

import subprocess
import sys
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from neuraxis.volume.formats.nifti_header import Header

KINDS = [nib.Nifti1Header, nib.Nifti2Header]


def axis_turns() -> list[np.ndarray]:
    """Return all 48 ways to run along the axes, half of them mirrored."""
    turns = []
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        turn = np.zeros((3, 3))
        turn[list(order), range(3)] = signs
        turns.append(turn)
    return turns


def random_affines(count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(7)
    affines = []
    for _ in range(count):
        turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]
        affine = np.eye(4)
        affine[:3, :3] = turn * generator.uniform(0.3, 5, 3)
        affine[:3, 3] = generator.uniform(-100, 100, 3)
        affines.append(affine)
    return affines


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_field_is_found_where_nibabel_puts_it(kind: Any, order: str) -> None:
    theirs = kind(endianness=order)
    generator = np.random.default_rng(1)
    for name in set(theirs) - {"sizeof_hdr", "magic", "eol_check"}:
        field = theirs[name]
        theirs[name] = b"text" if field.dtype.kind == "S" else generator.integers(1, 99, field.shape)
    ours = Header.parse(theirs.structarr.tobytes())
    for name in set(theirs) - {"magic", "eol_check"}:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert ours.to_bytes() == theirs.structarr.tobytes()
    assert ours.size == theirs["sizeof_hdr"]


@pytest.mark.parametrize("block", [bytes(348), bytes(540), b"\x5c\x01\x00\x00", b"\x5c\x01\x00\x00" + bytes(536)])
def test_bytes_that_do_not_begin_with_their_number_are_no_header(block: bytes) -> None:
    with pytest.raises(ValueError, match=f"{len(block)} bytes are no NIfTI header"):
        Header.parse(block)


def test_a_new_header_is_the_one_that_nibabel_would_write() -> None:
    theirs = nib.Nifti1Header()
    theirs.set_data_dtype(np.int16)
    theirs.set_data_shape((5, 6, 7))
    theirs.set_xyzt_units("mm")
    theirs["vox_offset"] = 352
    ours = Header()
    ours.describe_voxels(np.dtype(np.int16), (5, 6, 7))
    assert ours.to_bytes() == theirs.structarr.tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("affine", [*axis_turns(), *random_affines(20)])
def test_an_affine_returns_from_both_forms_as_nibabel_reads_them(kind: Any, affine: np.ndarray) -> None:
    whole = np.eye(4)
    whole[: len(affine), : len(affine)] = affine
    header = Header.parse(kind().structarr.tobytes())
    header.set_affine(whole, 2)
    np.testing.assert_allclose(header.qform(), whole, atol=2e-5)
    np.testing.assert_allclose(header.sform(), whole, atol=1e-5)
    theirs = kind(header.to_bytes())
    np.testing.assert_allclose(theirs.get_qform(), header.qform(), atol=2e-5)
    np.testing.assert_array_equal(theirs.get_sform(), header.sform())
    assert (theirs["qform_code"], theirs["sform_code"]) == (2, 2)


def test_the_qform_of_a_sheared_affine_is_the_rotation_nearest_to_it() -> None:
    affine = np.array([[2, 0.3, 0, 5], [0, 1, 0.1, 6], [0, 0, 3, 7], [0, 0, 0, 1.0]])
    ours, theirs = Header(), nib.Nifti1Header()
    ours.set_affine(affine)
    theirs.set_qform(affine, 1)
    np.testing.assert_allclose(ours.qform(), theirs.get_qform(), atol=1e-5)
    np.testing.assert_allclose(ours.sform(), affine, atol=1e-6)


def test_a_half_turn_whose_rounded_quaternion_is_a_little_too_long_is_read() -> None:
    header = Header()
    header["pixdim"][:4] = 1
    header["quatern_b"] = np.nextafter(np.float32(1), np.float32(2))
    np.testing.assert_allclose(header.qform(), np.diag([1, -1, -1, 1]), atol=1e-6)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("quatern_c", 1.1, "the quaternion 0, 1.1, 0 is longer than 1"),
        ("pixdim", [1, 2, -3, 4, 0, 0, 0, 0], "pixdim begins with 1, 2, -3, 4"),
        ("pixdim", [0.5, 2, 3, 4, 0, 0, 0, 0], "pixdim begins with 0.5, 2, 3, 4"),
    ],
)
def test_a_qform_that_cannot_be_is_refused(field: str, value: Any, message: str) -> None:
    header = Header()
    header[field] = value
    with pytest.raises(ValueError, match=message):
        header.qform()


@pytest.mark.parametrize("kind", KINDS)
def test_type_and_shape_are_noted_as_nibabel_notes_them(kind: Any) -> None:
    for name in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"):
        for order in "<>":
            theirs = kind(endianness=order)
            ours = Header.parse(theirs.structarr.tobytes())
            ours.describe_voxels(np.dtype(name), (3, 4, 5, 2))
            theirs.set_data_dtype(name)
            theirs.set_data_shape((3, 4, 5, 2))
            assert ours.to_bytes() == theirs.structarr.tobytes()
            assert ours.dtype == theirs.get_data_dtype() == np.dtype(name).newbyteorder(order)


def test_what_a_header_has_no_room_for_is_refused() -> None:
    with pytest.raises(ValueError, match="NIfTI cannot hold float16 values"):
        Header().describe_voxels(np.dtype("f2"), (3, 4, 5))
    with pytest.raises(ValueError, match=r"NIfTI-1 cannot hold the shape \(3, 4, 32768\)"):
        Header().describe_voxels(np.dtype("i2"), (3, 4, 32768))
    Header().describe_voxels(np.dtype("i2"), (3, 4, 32767))


def test_a_copy_changes_by_itself() -> None:
    header = Header()
    header.copy()["dim"][1] = 9
    assert header["dim"][1] == 1


def test_writing_and_reading_a_scan_takes_no_time_for_importing_nibabel(tmp_path: Path) -> None:
    script = (
        "import sys, numpy as np\n"
        "from neuraxis.volume.formats import nifti\n"
        "from neuraxis.volume.volume import Grid, Volume\n"
        "nifti.write(sys.argv[1], Volume(np.ones((1, 2, 3, 4), 'u1'), Grid((2, 3, 4), np.eye(4))))\n"
        "print(nifti.read(sys.argv[1]).array.sum(), 'nibabel' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "scan.nii.gz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "24 False\n"
