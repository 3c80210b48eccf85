"""HTTP as all services speak it: JSON errors on every path, health, guards."""
