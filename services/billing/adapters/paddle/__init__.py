"""Paddle Billing's HTTP API, version 1 (developer.paddle.com/api-reference)."""

from services.billing.adapters.paddle.api import HttpPaddle

__all__ = ["HttpPaddle"]
