"""Functions before a handler; what each returns is the next one's data."""

import asyncio
import sys

from socketify import App, middleware


async def load_user(res, req, data=None):
    await asyncio.sleep(0)
    return {"name": req.get_query("user")}


def must_have_name(res, req, user):
    if not user["name"]:
        res.send("no user", status=403)
        return None
    return user


app = App()
app.get("/", middleware(load_user, must_have_name, lambda res, _req, user: res.end(user)))
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
