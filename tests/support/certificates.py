"""Certificates by the program openssl: what makes them in Python is compiled, and has no wheel for every interpreter."""

from __future__ import annotations

import datetime
import enum
import ipaddress
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Optional

# The names of a subject stay in the order in which they are given; what strict clients ask of certificates is in them.
_CONFIGURATION = """
[req]
distinguished_name = names
prompt = no
string_mask = utf8only
[names]
[ca]
default_ca = here
[here]
database = issued
new_certs_dir = .
certificate = authority.pem
private_key = authority.key
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
organizationName = optional
organizationalUnitName = optional
commonName = optional
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[between]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = clientAuth, serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""


class KeyType(enum.Enum):
    """Kinds of keys, and how openssl makes them."""

    RSA = ("-newkey", "rsa:2048")
    ECDSA = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


class Issued(NamedTuple):
    """A certificate with what lies between it and the root, in PEM, and its key."""

    chain: tuple[str, ...]
    key: str


def openssl(*arguments: object, directory: Optional[Path] = None) -> str:
    """Run the program, there if it matters, and give what it says."""
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


class Authority:
    """Signs certificates, and keeps its own and its key in a folder."""

    def __init__(self, directory: Path, above: Optional[Authority] = None) -> None:
        directory.mkdir()
        directory = directory.resolve()
        self.directory, self.certificate = directory, directory / "authority.pem"
        self._key, self._made = directory / "authority.key", 0
        self._chain: tuple[str, ...] = ()
        self._nothing_issued()
        if above is not None:
            issued = above._sign("between", "/O=tests/OU=between", KeyType.ECDSA)
            self.certificate.write_text(issued.chain[0])
            self._key.write_text(issued.key)
            self._chain = issued.chain
            return
        files = ("-keyout", self._key, "-out", self.certificate)
        subject = ("-subj", "/O=tests/OU=authority", "-extensions", "authority", "-days", 3650)
        self._openssl("req", "-config", self._configuration(), "-x509", *KeyType.ECDSA.value, "-nodes", *files, *subject)

    def child(self) -> Authority:
        """An authority that this one has signed."""
        self._made += 1
        return Authority(self.directory / f"child-{self._made}", self)

    def issue(
        self,
        *identities: str,
        key_type: KeyType = KeyType.ECDSA,
        organization_name: str = "tests",
        common_name: Optional[str] = None,
        not_before: Optional[datetime.datetime] = None,
        not_after: Optional[datetime.datetime] = None,
    ) -> Issued:
        """Sign a certificate for names, addresses of mail, or those of IP."""
        subject = f"/O={organization_name}/OU=leaf" + (f"/CN={common_name}" if common_name else "")
        return self._sign("leaf", subject, key_type, identities, not_before, not_after)

    def revoke(self, certificates: Iterable[str], made: datetime.datetime, until: datetime.datetime) -> str:
        """Give the list of what is revoked, in PEM: these certificates alone."""
        self._nothing_issued()
        configuration = ("-config", self._configuration())
        for each in certificates:
            self._openssl("ca", *configuration, "-revoke", each)
        dates = ("-crl_lastupdate", _date(made), "-crl_nextupdate", _date(until))
        return self._openssl("ca", *configuration, "-gencrl", *dates)

    def _sign(
        self,
        kind: str,
        subject: str,
        key_type: KeyType,
        identities: Iterable[str] = (),
        not_before: Optional[datetime.datetime] = None,
        not_after: Optional[datetime.datetime] = None,
    ) -> Issued:
        now = datetime.datetime.now(datetime.timezone.utc)
        dates = (not_before or now - datetime.timedelta(days=365), not_after or now + datetime.timedelta(days=365))
        key, request, signed = (self.directory / f"made.{each}" for each in ("key", "request", "pem"))
        configuration = ("-config", self._configuration(identities))
        made = ("-nodes", "-keyout", key, "-out", request, "-utf8", "-subj", subject)
        self._openssl("req", *configuration, "-new", *key_type.value, *made)
        validity = ("-startdate", _date(dates[0]), "-enddate", _date(dates[1]))
        choices = ("-batch", "-notext", "-preserveDN", "-utf8", "-extensions", kind, *validity)
        self._openssl("ca", *configuration, *choices, "-in", request, "-out", signed)
        return Issued((signed.read_text(), *self._chain), key.read_text())

    def _openssl(self, *arguments: object) -> str:
        # The configuration names files there: a path may have what means something else in it.
        return openssl(*arguments, directory=self.directory)

    def _nothing_issued(self) -> None:
        (self.directory / "issued").write_text("")

    def _configuration(self, identities: Iterable[str] = ()) -> Path:
        path = self.directory / "configuration"
        names = ", ".join(map(_alternative_name, identities)) or "DNS:none"
        path.write_text(_CONFIGURATION.format(names=names))
        return path


def _date(at: datetime.datetime) -> str:
    return at.astimezone(datetime.timezone.utc).strftime("%Y%m%d%H%M%SZ")


def _alternative_name(identity: str) -> str:
    if "@" in identity:
        return f"email:{identity}"
    try:
        return f"IP:{ipaddress.ip_address(identity)}"
    except ValueError:
        return f"DNS:{identity}"
