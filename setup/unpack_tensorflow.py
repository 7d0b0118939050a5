"""Unpacks from TensorFlow's wheel what a C program links against, and NVIDIA's libraries from their wheels.

usage: unpack_tensorflow.py FOLDER WHEEL...

FOLDER/lib          TensorFlow's two libraries
FOLDER/include      its C headers
FOLDER/nvidia       NVIDIA's libraries and compiler, where those two look for them; empty without such wheels
FOLDER/*.dist-info  name, version and licence of each wheel, as scanners read them
"""

import pathlib
import re
import sys
import zipfile

LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
HEADERS = (
    "tensorflow/c/",
    "xla/tsl/c/",
    "tsl/platform/ctstring",
    "tensorflow/core/platform/ctstring",
)
# Names that tfjs-node's binding.gyp and the libraries themselves require.
LINKS = {
    "libtensorflow.so": "libtensorflow_cc.so.2",
    "libtensorflow.so.2": "libtensorflow_cc.so.2",
    "libtensorflow_framework.so": "libtensorflow_framework.so.2",
}
# Files of NVIDIA's wheels that are opened at run time or that XLA compiles with. Excludes headers, static and
# device libraries, second builds of a library, and the multi-GPU solver.
NVIDIA = re.compile(r"nvidia/(\w+/lib/.+|cuda_nvcc/(bin|nvvm)/.+)")
NVIDIA_UNUSED = re.compile(r"\.(a|h|py|pyc|bc|ltoir)$|\.alt\.so|libcusolverMg")
LIBDEVICE = re.compile(r"nvidia/cuda_nvcc/nvvm/libdevice/")
ABOUT = re.compile(r"[^/]+\.dist-info/(METADATA|licenses/.+|License.*|LICENSE.*)", re.IGNORECASE)
# Extra in TensorFlow's METADATA that lists the requirements of its GPU build.
CUDA_EXTRA = re.compile(r"^Requires-Dist: ([\w-]+).*extra == .and-cuda", re.MULTILINE)


def target(name: str) -> str | None:
    """Where a file of a wheel goes below FOLDER; None: nowhere."""
    inside = name.removeprefix("tensorflow/")
    if inside in LIBRARIES:
        return f"lib/{inside}"
    header = name.removeprefix("tensorflow/include/")
    if header != name and header.startswith(HEADERS):
        return f"include/{header}"
    if LIBDEVICE.match(name) or (NVIDIA.fullmatch(name) and not NVIDIA_UNUSED.search(name)):
        return name
    return name if ABOUT.fullmatch(name) else None


def unpack(wheel: pathlib.Path, folder: pathlib.Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            place = None if member.is_dir() else target(member.filename)
            if place is None:
                continue
            file = folder / place
            file.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, file.open("wb") as sink:
                while block := source.read(1 << 22):
                    sink.write(block)
            file.chmod(0o755 if member.external_attr >> 16 & 0o111 else 0o644)


def missing(folder: pathlib.Path) -> set[str]:
    """What the GPU build asks for and no wheel gave. The CPU build asks for nothing."""
    given, asked = set(), set()
    for metadata in folder.glob("*.dist-info/METADATA"):
        text = metadata.read_text()
        name = re.search(r"^Name: (.+)$", text, re.MULTILINE)[1]
        given.add(re.sub("[-_.]+", "-", name.strip().lower()))
        if name.strip() == "tensorflow":
            asked |= set(CUDA_EXTRA.findall(text))
    return asked - given


def main(folder: pathlib.Path, wheels: list[pathlib.Path]) -> None:
    for sub in ("lib", "nvidia"):
        (folder / sub).mkdir()
    for wheel in wheels:
        unpack(wheel, folder)
    for name, library in LINKS.items():
        (folder / "lib" / name).symlink_to(library)
    if lacking := missing(folder):
        names = ", ".join(sorted(lacking))
        sys.exit(f"setup/cuda-requirements.txt lacks {names}, which tensorflow's extra and-cuda names")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), [pathlib.Path(wheel) for wheel in sys.argv[2:]])
