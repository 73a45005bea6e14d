"""Tests of the wire room. kio, an implementation of its own, says what is right."""
