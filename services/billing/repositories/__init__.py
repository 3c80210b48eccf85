"""SQL of billing. Returns values or says what was added; never commits."""
