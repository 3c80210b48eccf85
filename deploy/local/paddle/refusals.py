"""Errors as Paddle answers them: developer.paddle.com/api-reference/about/errors."""

from typing import Any, Self


class Refused(Exception):
    """The call is not done."""

    def __init__(
        self, status: int, code: str, detail: str, fields: dict[str, str] | None = None
    ) -> None:
        """`fields`: what is wrong with which."""
        super().__init__(detail)
        self.status, self.code, self.fields = status, code, fields or {}

    @classmethod
    def not_found(cls, thing_id: str) -> Self:
        """There is no such entity."""
        return cls(404, "not_found", f"Entity {thing_id} not found")

    @classmethod
    def invalid(cls, **fields: str) -> Self:
        """The body does not pass."""
        return cls(400, "invalid_field", "Request does not pass validation.", fields)

    def body(self, request_id: str) -> dict[str, Any]:
        """The answer."""
        error: dict[str, Any] = {
            "type": "request_error",
            "code": self.code,
            "detail": str(self),
            "documentation_url": f"https://developer.paddle.com/errors/shared/{self.code}",
        }
        if self.fields:
            pairs = self.fields.items()
            error["errors"] = [{"field": name, "message": text} for name, text in pairs]
        return {"error": error, "meta": {"request_id": request_id}}
