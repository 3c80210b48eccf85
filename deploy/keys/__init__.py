"""Key material: made once, backed up, checked, rotated. What is lost here is lost for everybody.

The folder of an installation holds a file an item, readable by its owner only: the peppers of API
keys, the sealing keys of executors and of the data plane (newest first), and each service's own key
for service tokens.
"""
