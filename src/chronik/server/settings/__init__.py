"""Settings: defaults, files, variables and the command line, resolved and checked into one record."""
