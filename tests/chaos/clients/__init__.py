"""The clients of a run, each in a process of its own that writes down what it did and saw: `__main__`."""
