"""Unpacks from a TensorFlow wheel what a C program links against: the two libraries and the C headers.

usage: unpack_tensorflow.py WHEEL FOLDER    makes FOLDER/lib and FOLDER/include
"""

import pathlib
import sys
import zipfile

LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
HEADERS = (
    "tensorflow/c/",
    "xla/tsl/c/",
    "tsl/platform/ctstring",
    "tensorflow/core/platform/ctstring",
)
# The names that tfjs-node's binding.gyp and the libraries themselves ask for.
LINKS = {
    "libtensorflow.so": "libtensorflow_cc.so.2",
    "libtensorflow.so.2": "libtensorflow_cc.so.2",
    "libtensorflow_framework.so": "libtensorflow_framework.so.2",
}


def main(wheel: str, folder: str) -> None:
    lib, include = pathlib.Path(folder, "lib"), pathlib.Path(folder, "include")
    lib.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            inner = name.removeprefix("tensorflow/include/")
            if name.endswith("/"):
                continue
            if name.removeprefix("tensorflow/") in LIBRARIES:
                target = lib / name.removeprefix("tensorflow/")
            elif inner != name and inner.startswith(HEADERS):
                target = include / inner
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, target.open("wb") as sink:
                while block := source.read(1 << 22):
                    sink.write(block)
    for name, target in LINKS.items():
        (lib / name).symlink_to(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
