"""HTTPS and wss. Usage: python examples/https.py CERTIFICATE KEY [PORT]; 3443 at first, 0 for any.

For trying it out, `python -m trustme` (pip install trustme) makes server.pem, server.key and client.pem, the CA for clients:
curl --cacert client.pem https://localhost:3443
"""

import sys

from socketify import App, AppOptions

app = App(AppOptions(cert_file_name=sys.argv[1], key_file_name=sys.argv[2]))
app.get("/", lambda res, _req: res.end("Hello over TLS!"))
app.ws("/echo", {"message": lambda ws, message, opcode: ws.send(message, opcode)})
port = int(sys.argv[3]) if len(sys.argv) > 3 else 3443
app.listen(port, lambda config: print(f"listening on port {config.port}", flush=True))
# SIGHUP reads the files again, without dropping a connection.
app.run()
