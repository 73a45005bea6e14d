"""Hostile bytes against one broker, and what it must be throughout: alive, answering, bounded, honest."""
