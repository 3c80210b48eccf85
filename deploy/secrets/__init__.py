"""Every secret of an installation: who reads which, made of key material and passwords."""
