"""The deterministic simulator: whole nodes on virtual time, network, disks and clocks, all from one seed.

Imports everything; nothing imports it. `python -m chronik.sim --seed N` runs one seed and prints the result.
"""
