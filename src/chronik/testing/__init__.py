"""For users' own test suites: a broker that is ready when the call returns and gone when it ends."""
