"""Methods and properties of an app's own."""

import sys

from socketify import App


def visits(request, response, _ws):
    request.property("tags", [])

    @request.method
    def language(self):
        return (self.get_header("accept-language") or "en").partition(",")[0]

    @response.method
    def ok(self, data):
        return self.send({"ok": True, "data": data})


def home(res, req):
    req.tags.append(req.language())
    res.ok(req.tags)


app = App()
app.register(visits)
app.get("/", home)
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
