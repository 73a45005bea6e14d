"""Invariants of every run, checked from outside: nothing here is used by a node."""
