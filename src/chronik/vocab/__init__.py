"""The words every room shares: ids, error codes, limits, and the seams for clock and randomness.

Imports nothing of ours, and nothing that touches the outside world.
"""
