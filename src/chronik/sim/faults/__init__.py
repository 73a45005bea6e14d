"""Faults of a cluster: crashes, pauses, networks, disks and clocks, a module for each kind of cause.

`schedule` draws them, `stage` has the state they share.
"""
