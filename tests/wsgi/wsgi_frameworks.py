"""The same small application for Flask, Django and Falcon: text, an upload, a stream, a file, an error."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from typing import Any

CONTENT = bytes(range(256)) * 4000


def parts() -> Iterator[bytes]:
    """Stream in pieces."""
    for number in range(100):
        yield b"%d\n" % number


def flask_application() -> Any:
    """Make the one of Flask."""
    import flask  # noqa: PLC0415 - each is optional

    app = flask.Flask(__name__)

    @app.get("/hello/<name>")
    def hello(name: str) -> Any:
        return {"name": name, "q": flask.request.args.get("q"), "ip": flask.request.remote_addr}

    @app.post("/upload")
    def upload() -> Any:
        return str(sum(len(file.read()) for file in flask.request.files.values()))

    @app.post("/body")
    def body() -> Any:
        return str(len(flask.request.get_data()))

    @app.get("/stream")
    def stream() -> Any:
        return flask.Response(parts(), mimetype="text/plain")

    @app.get("/file")
    def file() -> Any:
        return flask.send_file(__file__, mimetype="text/plain")

    @app.get("/memory")
    def memory() -> Any:
        return flask.send_file(io.BytesIO(CONTENT), mimetype="application/octet-stream")

    @app.get("/async")
    def run_loop() -> Any:
        async def answer() -> str:
            await asyncio.sleep(0)
            return "async"

        return asyncio.run(answer())

    @app.get("/error")
    def error() -> Any:
        raise LookupError

    return app


def django_application() -> Any:
    """Make the one of Django."""
    import django  # noqa: PLC0415 - each is optional
    from django.conf import settings  # noqa: PLC0415

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=__name__ + "_urls",
            SECRET_KEY="test",
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            LOGGING_CONFIG=None,
            USE_TZ=True,
        )
    django.setup()
    # The ASGI suite has its own in the same process: Django is configured once.
    settings.ROOT_URLCONF = __name__ + "_urls"
    import sys  # noqa: PLC0415
    import types  # noqa: PLC0415

    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415
    from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse  # noqa: PLC0415
    from django.urls import path  # noqa: PLC0415

    def hello(request: Any, name: str) -> Any:
        return JsonResponse({"name": name, "q": request.GET.get("q"), "ip": request.META["REMOTE_ADDR"]})

    def upload(request: Any) -> Any:
        return HttpResponse(str(sum(file.size for file in request.FILES.values())))

    def body(request: Any) -> Any:
        return HttpResponse(str(sum(len(part) for part in iter(lambda: request.read(65536), b""))))

    def stream(_request: Any) -> Any:
        return StreamingHttpResponse(parts())

    def file(_request: Any) -> Any:
        return FileResponse(open(__file__, "rb"))  # noqa: PTH123 - the response closes it

    def memory(_request: Any) -> Any:
        return FileResponse(io.BytesIO(CONTENT))

    def run_loop(_request: Any) -> Any:
        # The ORM refuses to work where it believes a loop to run.
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'async'")
            return HttpResponse(cursor.fetchone()[0])

    def error(_request: Any) -> Any:
        raise LookupError

    urls: Any = types.ModuleType(__name__ + "_urls")
    urls.urlpatterns = [path("hello/<str:name>", hello)]
    for view in (upload, body, stream, file, memory, error):
        urls.urlpatterns.append(path(view.__name__, view))
    urls.urlpatterns.append(path("async", run_loop))
    sys.modules[urls.__name__] = urls
    return get_wsgi_application()


def falcon_application() -> Any:
    """Make the one of Falcon."""
    import falcon  # noqa: PLC0415 - each is optional

    def hello(req: Any, resp: Any, name: str) -> None:
        resp.media = {"name": name, "q": req.get_param("q"), "ip": req.remote_addr}

    def upload(req: Any, resp: Any) -> None:
        resp.text = str(sum(len(part.stream.read()) for part in req.get_media()))

    def body(req: Any, resp: Any) -> None:
        resp.text = str(len(req.bounded_stream.read()))

    def stream(_req: Any, resp: Any) -> None:
        resp.stream = parts()

    def file(_req: Any, resp: Any) -> None:
        resp.stream = open(__file__, "rb")  # noqa: SIM115, PTH123 - the server closes it

    def memory(_req: Any, resp: Any) -> None:
        resp.data = CONTENT

    def run_loop(_req: Any, resp: Any) -> None:
        async def answer() -> str:
            await asyncio.sleep(0)
            return "async"

        resp.text = asyncio.run(answer())

    def error(_req: Any, _resp: Any) -> None:
        raise LookupError

    app = falcon.App()
    app.req_options.media_handlers[falcon.MEDIA_MULTIPART].parse_options.max_body_part_buffer_size = 10_000_000
    for target, method, handler in (
        ("/hello/{name}", "on_get", hello),
        ("/upload", "on_post", upload),
        ("/body", "on_post", body),
        ("/stream", "on_get", stream),
        ("/file", "on_get", file),
        ("/memory", "on_get", memory),
        ("/async", "on_get", run_loop),
        ("/error", "on_get", error),
    ):
        app.add_route(target, type("Resource", (), {method: staticmethod(handler)})())
    return app


APPLICATIONS = {"flask": flask_application, "django": django_application, "falcon": falcon_application}
