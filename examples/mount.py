"""Native routes, a FastAPI application and a Flask application on one port."""

import sys

from fastapi import FastAPI
from flask import Flask

from socketify import App

api = FastAPI()
admin = Flask("admin")


@api.get("/users/{number}")
async def user(number: int):
    return {"number": number}


@admin.get("/")
def overview():
    return "the admin's overview"


app = App()
app.get("/", lambda res, _req: res.end("a native route"))
app.mount("/api", api)
app.mount("/admin", admin, threads=4)
app.listen(int(sys.argv[1]) if len(sys.argv) > 1 else 8000, lambda config: print(f"listening on {config.port}", flush=True))
app.run()
