"""Code that services share: `common` for everyone, `ledger` for the execution plane."""
