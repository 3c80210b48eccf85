"""Private PostgreSQL, RabbitMQ and Redis: own folder, loopback only, nothing of the system's."""
