"""Clients show certificates. Usage: python examples/mutual_tls.py CERTIFICATE KEY CA [PORT]; 3443 at first, 0 for any."""

import ssl
import sys

from socketify import App, AppOptions, Request, Response

app = App(AppOptions(cert_file_name=sys.argv[1], key_file_name=sys.argv[2], ca_file_name=sys.argv[3]))


def who(res: Response, req: Request) -> None:
    certificate = res.get_client_certificate()
    assert certificate is not None, "clients without one do not get here"
    res.send(ssl.DER_cert_to_PEM_cert(certificate), content_type="application/x-pem-file")


app.get("/", who)
port = int(sys.argv[4]) if len(sys.argv) > 4 else 3443
app.listen(port, lambda config: print(f"listening on port {config.port}", flush=True))
app.run()
