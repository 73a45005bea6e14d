"""Record batches (magic 2) as bytes: header view, patching, validation, building, compression, control
batches.
"""
