"""`reqrun parked`: what nobody could take, kept as evidence; to be looked at, put back, dropped."""
