"""`reqrun load`: a load at a steady rate, and what becomes of it, to be watched live."""
