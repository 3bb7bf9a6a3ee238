"""An HTTP server of mentions: of whole texts, of texts that are being written, and of what
a language model writes."""

try:
    import fastapi as _fastapi  # noqa: F401
except ImportError as error:
    raise ImportError(
        'The server needs FastAPI. Run: pip install "spacy-tommer[serve]"'
    ) from error

from .app import create_app
from .limits import Limits

__all__ = ["Limits", "create_app"]
