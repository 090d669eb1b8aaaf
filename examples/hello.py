"""Hello, World! on port 3000."""

from socketify import App

app = App()
app.get("/", lambda res, req: res.end("Hello, World!"))
app.listen(3000, lambda config: print(f"listening on port {config.port}"))
app.run()
