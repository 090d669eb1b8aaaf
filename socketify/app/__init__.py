"""The app, and what is added to it: routers, middlewares, extensions, templates."""
