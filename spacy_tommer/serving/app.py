"""The server's app."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Optional

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from spacy.language import Language
from starlette.exceptions import HTTPException
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..version import __version__
from .chat import Chat
from .completion import Completions
from .errors import error_answer
from .limits import Limits
from .mentions import Batch
from .requests import Requests
from .server import Server
from .stopping import notice_stop
from .worker import Worker


def create_app(
    nlp: Language,
    model: Optional[PreTrainedModel] = None,
    tokenizer: Optional[PreTrainedTokenizerBase] = None,
    *,
    limits: Optional[Limits] = None,
) -> FastAPI:
    """Create the app of a server, for uvicorn or another ASGI server, in one process.

    nlp (Language): The pipeline. The app uses it from now on, and nothing else may.
        ValueError is raised for one that cannot read streams.
    model (Optional[PreTrainedModel]): A language model that writes: the pipeline's backbone
        as a whole. ValueError is raised for another one.
    tokenizer (Optional[PreTrainedTokenizerBase]): Its tokenizer, with a chat template.
    limits (Optional[Limits]): The limits of the server; by default those of `Limits()`.
    RETURNS (FastAPI): The app.
    """
    if (model is None) != (tokenizer is None):
        raise ValueError("A model that writes needs its tokenizer: give both, or none.")
    limits = limits or Limits()
    worker, stopping = Worker(nlp), asyncio.Event()
    completions = None
    if model is not None and tokenizer is not None:
        completions = Completions(worker, model, tokenizer, limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with notice_stop(stopping):
            yield
        stopping.set()
        if completions is not None:
            completions.close()
        worker.close()

    app = FastAPI(
        title="spacy_tommer",
        version=__version__,
        lifespan=lifespan,
        # These pages need files of another server; /openapi.json does not.
        docs_url=None,
        redoc_url=None,
    )
    app.state.server = server = Server(worker, completions, limits, stopping)
    app.get("/", response_class=HTMLResponse)(server.show)
    app.get("/health")(server.health)
    app.post("/mentions", **takes(Batch))(server.mentions)
    app.post("/stream")(server.stream)
    app.get("/stream")(server.open)
    app.post("/stream/{key}", status_code=204)(server.push)
    app.delete("/stream/{key}", status_code=204)(server.end)
    app.post("/v1/chat/completions", **takes(Chat))(server.chat)
    app.add_exception_handler(HTTPException, error_answer)
    app.add_middleware(Requests, places=server.places, stopping=stopping)
    return app


def takes(kind: type[BaseModel]) -> dict[str, Any]:
    """Describe the body of a request for /openapi.json."""
    content = {"application/json": {"schema": kind.model_json_schema()}}
    return {"openapi_extra": {"requestBody": {"required": True, "content": content}}}
