"""Three real nodes under load from real clients, while faults drawn from a seed befall them: `__main__`."""
