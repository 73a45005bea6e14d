"""Writes the golden files that are missing."""

from .sample import exists, write
from .samples import SAMPLES

if __name__ == "__main__":
    for sample in SAMPLES:
        if sample.encoded is not None and not exists(sample.name):
            print(write(sample.name, sample.encoded))
