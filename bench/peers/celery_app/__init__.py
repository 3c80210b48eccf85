"""What a user of Celery would write: run by the peer's own interpreter, not by ours."""
