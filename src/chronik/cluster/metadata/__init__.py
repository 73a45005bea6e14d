"""The metadata by subject: a module for the records, sub-image, commands and pure decisions of each.

`subjects` registers them; nothing else names them all. Whoever adds a kind of record writes it into its
subject's module, or writes a module and registers it.
"""
