"""What docker-compose.yml runs once: prepare makes the secrets, demo shows that it works."""
