"""Configuration as data: what can be set, what a value means, and what follows when several sources set it.

Pure: names, types, defaults, checks and documentation of every setting (`tables`), parsing and printing
(`values`), the order of sources (`broker`), and the typed view that hot paths read (`topic`).
Reading files, variables and flags is `chronik.server.settings`; keeping dynamic changes is the metadata log's
work.
"""
