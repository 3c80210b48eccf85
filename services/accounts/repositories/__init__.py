"""SQL of accounts. Returns rows or raises a domain error; never commits."""
