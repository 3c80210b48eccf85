"""`reqrun doctor`: whether everything is there, as the code wants it, and in time.

Every check is bounded and all run side by side, so that a server that hangs costs the time of one
bound, and what does not need it is looked at all the same.
"""
