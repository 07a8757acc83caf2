"""The raw loops: the least that at-least-once delivery with stored results costs, in batches. See `base`.

One file per store. `python -m tests.bench.floors KIND URL ...` runs one process of it.
"""
