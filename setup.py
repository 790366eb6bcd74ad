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

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

DASK = ["dask[distributed]>=2024.8"]
ONNX = ["onnx>=1.16", "onnxscript>=0.1", "onnxruntime>=1.18"]

setup(
    name="monai_ssl",
    version="0.1.0",
    description="Self-supervised pre-training on unlabelled medical volumes, and honest statistics on what it buys.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["monai_ssl", "monai_ssl.*"]),
    package_data={"monai_ssl": ["py.typed", "report/*.j2"]},
    python_requires=">=3.11",
    install_requires=[
        "fire>=0.6",
        "huggingface_hub>=0.24",
        "isal>=1.6",
        "itk>=5.4",
        "jinja2>=3.1",
        "jsonschema>=4.20",
        "matplotlib>=3.8",
        "monai>=1.6.1",
        "nibabel>=5.2",
        "numba>=0.60",
        "numpy>=2.0",
        "opencv-python-headless>=4.9",
        "pandas>=2.2",
        "pillow>=10.3",
        "pydicom>=3.0",
        'pyjpegls>=1.4; python_version < "3.14"',
        "pylibjpeg>=2.0",
        "pylibjpeg-openjpeg>=2.3",
        "pylibjpeg-rle>=2.0",
        "python-gdcm>=3.0.24",
        "pytorch-ignite>=0.5.1",
        "rich>=13",
        "filelock>=3.13",
        "safetensors>=0.4.3",
        "scikit-learn>=1.4",
        "scipy>=1.12",
        "tensorboard>=2.16",
        "threadpoolctl>=3.1",
        "timm>=1.0.15",
        "torch>=2.6",
        "torchvision>=0.21",
        "tqdm>=4.66",
        "typer>=0.12",
    ],
    extras_require={
        "dask": DASK,
        "onnx": ONNX,
        "dev": [
            *DASK,
            *ONNX,
            "faiss-cpu>=1.8",
            "hypothesis>=6.100",
            "imagehash>=4.3",
            "lightly>=1.5.8",
            "mypy>=1.11",
            "pytest>=8.2",
            "pytest-xdist>=3.6",
            "ruff>=0.6",
            "scikit-image>=0.24",
        ],
    },
    entry_points={"console_scripts": ["monai-ssl=monai_ssl.__main__:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Console",
        "Intended Audience :: Healthcare Industry",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
        "Typing :: Typed",
    ],
)
