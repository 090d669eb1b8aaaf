"""Who is logged in: sessions in a signed cookie. Needs socketify[sessions]."""

import os
import sys

from socketify import App, HTTPError, MiddlewareRouter
from socketify.sessions import Sessions

# A secret of its own for each start; give one that stays, and sessions do.
sessions = Sessions(os.environ.get("SECRET") or os.urandom(32), secure=False)


async def login(res, req):
    form = await res.get_form_urlencoded()
    if not form or not form.get("name"):
        raise HTTPError(400, "who are you?")
    req.session.regenerate()
    req.session["name"] = form["name"]
    res.redirect("/", 303)


def logout(res, req):
    req.session.clear()
    res.redirect("/", 303)


def home(res, req):
    req.session["visits"] = req.session.get("visits", 0) + 1
    res.send({"name": req.session.get("name"), "visits": req.session["visits"]})


app = App()
routes = MiddlewareRouter(app, sessions)
routes.get("/", home).post("/login", login).post("/logout", logout)
app.listen(int(sys.argv[1]) if len(sys.argv) > 1 else 8000, lambda config: print(f"listening on {config.port}", flush=True))
app.run()
