"""Fakes shared by the test suites: a disk that forgets, a clock that stands."""
