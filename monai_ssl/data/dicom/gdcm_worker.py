# Copyright (c) monai_ssl contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""
Run as a script, decodes JPEG images by GDCM for the process that started it: a damaged one may end it.

Nothing of this package is imported, for it must start in a fraction of a second.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from typing import BinaryIO


def main() -> None:
    """Answer (bytes, what the codec said) to each request, until there is none."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # libjpeg tells of what it had to make up on stderr alone; and nothing but answers may go to stdout.
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        while True:
            try:
                request = pickle.load(requests)
            except EOFError:
                return
            said.truncate(0)
            content = _decoded(*request)
            pickle.dump((content, _text(said)), answers)
            answers.flush()


def _text(said: BinaryIO) -> str:
    said.seek(0)
    return said.read(1000).decode("ascii", "replace")


def _decoded(stream: bytes, syntax: str, rows: int, columns: int, allocated: int, stored: int, signed: int) -> bytes:
    import gdcm

    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(stream)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(
        gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2"))
    )
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(1, allocated, stored, stored - 1, signed))
    return image.GetBuffer().encode("utf-8", "surrogateescape")


if __name__ == "__main__":
    main()
