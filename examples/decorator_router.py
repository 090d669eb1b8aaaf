"""Routes as decorators, under a prefix and behind a middleware."""

import sys

from socketify import App


def signed_in(res, req, data=None):
    user = req.get_header("x-user")
    if user is None:
        res.send("who are you?", status=401)
    return user


app = App()
api = app.router("/api", signed_in)


@api.get("/hello")
def hello(res, req, user):
    res.end(f"Hello, {user}!")


@api.router("/users").get("/:id")
async def show(res, req, user):
    res.end({"id": req.get_parameter("id"), "asked_by": user})


app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
