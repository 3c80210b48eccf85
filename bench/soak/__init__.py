"""The soak: constant load for as long as it takes to see what grows that should not.

`python -m bench.soak --minutes 30` samples everything every five seconds, ages content so that
retention and partitions turn over meanwhile, and judges each figure's slope.
"""
