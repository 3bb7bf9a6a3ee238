"""What a server of chat completions needs and answers."""

import json
import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Optional

from .budget import Usage

KEY = "OPENAI_API_KEY"
# Room for a short sentence and a verdict.
ANSWER_TOKENS = 100
# Tokens that a chat template puts around a message, at most.
TEMPLATE_TOKENS = 32


@dataclass(frozen=True)
class Server:
    """A model and how it is asked.

    model (str): Name of the model.
    base_url (Optional[str]): Address of the server, up to /v1; None for OpenAI's.
    concurrency (int): Most requests at a time.
    max_retries (int): How often the client sends a request again that failed.
    timeout (float): Seconds to wait for an answer.
    """

    model: str
    base_url: Optional[str] = None
    temperature: float = 0.0
    concurrency: int = 8
    max_retries: int = 5
    timeout: float = 60.0


def import_openai() -> ModuleType:
    """Import the client.

    RETURNS (ModuleType): The package openai.
    """
    try:
        import openai
    except ImportError as error:
        raise ImportError(
            'A judge needs openai: pip install "spacy-tommer[judge]"'
        ) from error
    return openai


def read_api_key() -> str:
    """Read the API key from its variable.

    RETURNS (str): The key. ValueError is raised where there is none.
    """
    key = os.environ.get(KEY, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ValueError(
            f"Set the variable {KEY} to your API key: it is missing, or has characters "
            "that no key has. The client wants one for a local server (--base-url), too: "
            "any word will do."
        )
    return key


def most_usage(messages: list[dict[str, str]], requests: int, seen: Usage) -> Usage:
    """Estimate what a question uses at most.

    requests (int): How often they may be sent. One answer is counted: what a server bills
        for one that is lost on the way is not known.
    seen (Usage): The most tokens of questions and of answers so far: some servers put
        words of their own in front, or write longer answers.
    RETURNS (Usage): The estimate; no token is shorter than a byte.
    """
    size = sum(len(one["content"].encode("utf8")) + TEMPLATE_TOKENS for one in messages)
    return Usage(requests, max(size, seen.input), max(ANSWER_TOKENS, seen.output))


def read_json(text: str) -> dict[str, Any]:
    """Read the body of a response.

    text (str): The body.
    RETURNS (dict[str, Any]): What it says; nothing if it is not a JSON object.
    """
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def read_content(body: dict[str, Any]) -> Optional[str]:
    """Take the answer from a response.

    body (dict[str, Any]): The response.
    RETURNS (Optional[str]): The answer, None if there is none.
    """
    try:
        content = body["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        return None
    return content if isinstance(content, str) else None


def read_usage(body: dict[str, Any], requests: int) -> Optional[Usage]:
    """Take the used tokens from a response.

    body (dict[str, Any]): The response.
    requests (int): How often the question was sent.
    RETURNS (Optional[Usage]): The usage, None if the server does not tell.
    """
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    question, answer = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if type(question) is int and type(answer) is int and question > 0 <= answer:
        return Usage(requests, question, answer)
    return None


def advise(error: Exception, key: str) -> str:
    """Say what to do about an error that retries did not mend.

    error (Exception): An error of the client.
    key (str): The API key, which must not be shown.
    RETURNS (str): The advice.
    """
    openai = import_openai()
    refused = (openai.AuthenticationError, openai.PermissionDeniedError)
    if isinstance(error, refused):
        # The message may show the key, or a part of it.
        return f"The server refuses the API key. Check {KEY} and --base-url."
    if isinstance(error, openai.APITimeoutError):
        return "The server takes too long. Raise --timeout or lower --concurrency."
    if isinstance(error, openai.APIConnectionError):
        return "The server can't be reached or drops the connection. Check --base-url."
    advice = "The server refuses the request. Check --model and --temperature."
    if isinstance(error, openai.NotFoundError):
        advice = (
            "The server has no such model or address. Check --model, and --base-url, which "
            "mostly ends in /v1."
        )
    elif isinstance(error, openai.RateLimitError):
        advice = (
            "The server still limits the rate, or the account is used up. Lower "
            "--concurrency or raise --max-retries, or look at the account."
        )
    elif isinstance(error, openai.InternalServerError):
        advice = "The server keeps failing. Try later, or raise --max-retries."
    return f"{advice} It says: {error}".replace(key, "***")
