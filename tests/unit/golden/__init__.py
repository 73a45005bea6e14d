"""Everything that is stored or sent between nodes, byte for byte.

`files` has one file for each form; `samples` says of which value. A test that fails here says that a format
changed: nodes of the release before read what is written now, or the other way round, and that has to be
meant. `python -m tests.unit.golden` writes the files that are missing, and never changes one that is there:
an intended change removes the file first, and keeps the old one as a form that is only read.
"""
