"""Chronik beside other brokers, on the machine at hand. See README.md in this directory."""
