"""The metadata by subject: a module for the records, sub-image, commands and pure decisions of each.

`subjects` registers them; nothing else names them all. A new kind of record is added to its subject's module,
or in a new module that is registered.
"""
