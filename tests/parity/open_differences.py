"""Differences that are faults of Chronik, until they are mended: then an entry is an error."""

from tests.parity.differences import Known

OPEN: tuple[Known, ...] = ()
