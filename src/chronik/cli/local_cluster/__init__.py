"""Nodes on this machine in processes of their own: one for `chronik.testing`, several for
`chronik cluster start`.
"""
