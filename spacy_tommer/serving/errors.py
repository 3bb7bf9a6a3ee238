"""Say in JSON why a request was not answered."""

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


def error_body(status: int, reason: str, request_id: str) -> dict[str, Any]:
    """Make the body of an answer, in the form of OpenAI's."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": reason, "type": kind, "request_id": request_id}}


def full(reason: str) -> HTTPException:
    """Make the answer of a server that has no room now."""
    return HTTPException(503, reason, {"Retry-After": "5"})


def error_answer(request: Request, error: Exception) -> JSONResponse:
    """Answer an exception."""
    assert isinstance(error, HTTPException)
    body = error_body(error.status_code, error.detail, request.state.request_id)
    return JSONResponse(body, error.status_code, error.headers)
