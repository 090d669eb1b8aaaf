"""Every wrong option of TLS is told when the app is made, by its name."""

from __future__ import annotations

import _ssl
import datetime
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from certificates import KeyType
from tls_files import Files

from socketify import App, AppOptions


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


def refused(options: AppOptions, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        App(options)


def encrypted(files: Files, passphrase: str) -> dict[str, str]:
    given = files.issue("plain", key_type=KeyType.RSA)
    key = str(files.directory / "encrypted.key")
    command = ["openssl", "rsa", "-aes256", "-passout", f"pass:{passphrase}", "-in", given["key_file_name"], "-out", key]
    subprocess.run(command, check=True, capture_output=True)
    return {**given, "key_file_name": key}


def _hello(app: App) -> None:
    app.get("/", lambda res, _req: res.end("hello"))


def fetch(server: Any, files: Files) -> str:
    return httpx.get(server.url + "/", verify=files.client()).text


def test_an_encrypted_key(serve: Callable[..., Any], files: Files) -> None:
    given = encrypted(files, "sésame")
    assert fetch(serve(_hello, options=AppOptions(**given, passphrase="sésame")), files) == "hello"
    refused(AppOptions(**given), "passphrase for .*encrypted.key' is missing")
    refused(AppOptions(**given, passphrase="wrong"), "passphrase for .*encrypted.key' is wrong")


def test_key_and_certificate_in_one_file(serve: Callable[..., Any], files: Files) -> None:
    given = files.issue("both")
    path = files.directory / "both.all.pem"
    path.write_text(Path(given["cert_file_name"]).read_text() + Path(given["key_file_name"]).read_text())
    assert fetch(serve(_hello, options=AppOptions(cert_file_name=path)), files) == "hello"


def test_keys_of_two_kinds(serve: Callable[..., Any], files: Files) -> None:
    both = [files.issue(kind.name, key_type=kind) for kind in (KeyType.ECDSA, KeyType.RSA)]
    given: dict[str, Any] = {name: [each[name] for each in both] for name in both[0]}
    server = serve(_hello, options=AppOptions(**given))
    for kind in ("ECDSA", "RSA"):
        for choice in (
            ["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256" if kind == "ECDSA" else "rsa_pss_rsae_sha256"],
            ["-tls1_2", "-cipher", f"ECDHE-{kind}-AES128-GCM-SHA256"],
        ):
            command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", files.ca_file, *choice]
            done = subprocess.run(command, input=b"", capture_output=True, timeout=20, check=True)
            # OpenSSL 3.6 says the whole name of the algorithm.
            signed = b"Peer signature type: " + (b"ECDSA" if kind == "ECDSA" else b"RSA.PSS")
            assert re.search(signed, done.stdout, re.IGNORECASE)
            assert b"Verify return code: 0" in done.stdout
    assert fetch(server, files) == "hello"
    swapped = {**given, "key_file_name": given["key_file_name"][::-1]}
    refused(AppOptions(**swapped), "key_file_name .*RSA.key.*does not belong")
    second = {**given, "key_file_name": [given["key_file_name"][0]] * 2}
    refused(AppOptions(**second), "key_file_name .*ECDSA.key.*same kind")
    other = files.issue("other-ecdsa")
    same = {name: (both[0][name], other[name]) for name in other}
    refused(AppOptions(**same), "key_file_name .*other-ecdsa.key.*same kind")
    with pytest.raises(ValueError, match="key_file_name names 1 files, and cert_file_name 2"):
        AppOptions(**{**given, "key_file_name": given["key_file_name"][:1]})
    with pytest.raises(ValueError, match="cert_file_name must name 1 to 5 files, not 0"):
        AppOptions(cert_file_name=())
    with pytest.raises(FileNotFoundError, match=r"cert_file_name: no such file: 'none\.pem'"):
        AppOptions(cert_file_name=[both[0]["cert_file_name"], "none.pem"])
    with pytest.raises(TypeError, match="key_file_name must be a path"):
        AppOptions(**{**given, "key_file_name": [7, 8]})


def test_a_chain(serve: Callable[..., Any], files: Files) -> None:
    leaf = files.ca.child().issue("localhost", "127.0.0.1")
    assert len(leaf.chain) == 2
    assert fetch(serve(_hello, options=AppOptions(**files.write("chain", leaf))), files) == "hello"


def test_wrong_files(files: Files, tmp_path: Path) -> None:
    one, other = files.issue("one"), files.issue("other")
    rsa = files.issue("rsa", key_type=KeyType.RSA)
    junk = tmp_path / "junk.pem"
    junk.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    refused(AppOptions(**{**one, "key_file_name": other["key_file_name"]}), "key_file_name .*other.key.*does not belong")
    refused(AppOptions(**{**one, "key_file_name": rsa["key_file_name"]}), "key_file_name .*rsa.key.*does not belong")
    refused(AppOptions(**{**one, "cert_file_name": junk}), "cert_file_name .*junk.pem': no certificate")
    refused(AppOptions(**{**one, "key_file_name": junk}), "key_file_name .*junk.pem': no private key")
    refused(AppOptions(cert_file_name=one["cert_file_name"]), "key_file_name.* no private key")
    refused(AppOptions(**one, ca_file_name=junk), "ca_file_name .*junk.pem': no CA")
    refused(AppOptions(**one, dh_params_file_name=junk), "dh_params_file_name .*junk.pem': no DH")
    refused(AppOptions(**one, dh_params_file_name=one["key_file_name"]), "dh_params_file_name .*one.key': no DH")


def test_validity_in_time(files: Files) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    old = files.issue("old", not_before=now - datetime.timedelta(days=9), not_after=now - datetime.timedelta(days=1))
    young = files.issue("young", not_before=now + datetime.timedelta(days=1), not_after=now + datetime.timedelta(days=9))
    refused(AppOptions(**old), "old.pem': the certificate has expired$")
    refused(AppOptions(**young), "young.pem': the certificate is not valid yet")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its rights")
def test_an_unreadable_file(files: Files) -> None:
    given = files.issue("secret")
    Path(given["key_file_name"]).chmod(0)
    files.directory.chmod(0o755)
    for parent in files.directory.parents:
        if parent != Path(parent.anchor):
            parent.chmod(parent.stat().st_mode | 0o055)
    options = AppOptions(**given)
    os.seteuid(65534)
    try:
        with pytest.raises(PermissionError, match=r"key_file_name: cannot read .*secret.key"):
            App(options)
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("ciphers", "version", "name"),
    [
        ("TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"),
        ("TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("ECDHE+CHACHA20:!aNULL", "TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ],
)
def test_ciphers(serve: Callable[..., Any], files: Files, ciphers: str, version: str, name: str) -> None:
    server = serve(_hello, options=files.options(ssl_ciphers=ciphers))
    choice = ["-tls1_3"] if version == "TLSv1.3" else ["-tls1_2"]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *choice]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=20, check=True)
    assert f"{version}, Cipher is {name}".encode() in done.stdout


def test_only_tls_1_3(serve: Callable[..., Any], files: Files) -> None:
    server = serve(_hello, options=files.options(ssl_ciphers="TLS_AES_256_GCM_SHA384"))
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2"]
    assert b"alert protocol version" in subprocess.run(command, input=b"", capture_output=True, timeout=20, check=False).stderr


@pytest.mark.parametrize("ciphers", ["NOPE", "ECDHE-ECDSA-AES128-GCM-SHA256:NOPE", "TLS_NOPE", "", ":", "!aNULL"])
def test_wrong_ciphers(files: Files, ciphers: str) -> None:
    refused(files.options(ssl_ciphers=ciphers), "ssl_ciphers")


def test_dh_parameters(serve: Callable[..., Any], files: Files) -> None:
    path = str(files.directory / "dh.pem")
    command = ["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", path]
    subprocess.run(command, check=True, capture_output=True)
    given = files.issue("dhe", key_type=KeyType.RSA)
    cipher = "DHE-RSA-AES128-GCM-SHA256"
    server = serve(_hello, options=AppOptions(**given, dh_params_file_name=path))
    connect = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2", "-cipher", cipher]
    done = subprocess.run(connect, input=b"", capture_output=True, timeout=20, check=True)
    assert f"Cipher is {cipher}".encode() in done.stdout


def test_options_that_need_another(files: Files) -> None:
    given = files.issue("needs")
    for name, value in (("key_file_name", given["key_file_name"]), ("passphrase", "x"), ("ca_file_name", files.ca_file)):
        with pytest.raises(ValueError, match=f"{name} needs cert_file_name"):
            AppOptions(**{name: value})
    with pytest.raises(ValueError, match="client_certificate needs ca_file_name"):
        AppOptions(**given, client_certificate="optional")
    with pytest.raises(ValueError, match="client_certificate must be"):
        AppOptions(**given, ca_file_name=files.ca_file, client_certificate="maybe")
    with pytest.raises(ValueError, match="handshake_timeout must be"):
        AppOptions(**given, handshake_timeout=-1)
    with pytest.raises(TypeError, match="passphrase must be str"):
        AppOptions(**given, passphrase=b"x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="key_file_name must be a path"):
        AppOptions(key_file_name=7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="passphrase must not contain NUL"):
        AppOptions(**given, passphrase="x\0")
    with pytest.raises(TypeError, match="options must be AppOptions"):
        App(given)  # type: ignore[arg-type]


def test_the_copy_of_openssl_is_that_of_the_ssl_module(files: Files, tmp_path: Path) -> None:
    """Python may come with a copy that has a name of its own."""
    given = files.issue("copy")
    module = Path(getattr(_ssl, "__file__", "") or "/nowhere")
    paths = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/libssl.so.3" in line}
    if not paths or not module.is_file() or b"\0libssl.so.3\0" not in module.read_bytes():
        pytest.skip("this Python does not load libssl.so.3")
    # A name as long, so that the module needs another library and is the same otherwise.
    (tmp_path / module.name).write_bytes(module.read_bytes().replace(b"\0libssl.so.3\0", b"\0libtls.so.3\0"))
    shutil.copy(paths.pop(), tmp_path / "libtls.so.3")
    code = f"""
import socketify
socketify.App(socketify.AppOptions(**{given!r})).close()
print(*{{line.split("/")[-1] for line in open("/proc/self/maps") if "libssl" in line or "libtls" in line}})
"""
    search = os.pathsep.join((str(tmp_path), str(Path(__file__).parents[2])))
    environment = {**os.environ, "PYTHONPATH": search, "LD_LIBRARY_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["libtls.so.3"]


def test_without_openssl_the_error_says_what_to_do(files: Files) -> None:
    given = files.issue("absent")
    code = f"""
import socketify.core.tls as tls, socketify
tls._libraries = lambda: ["/nowhere/libssl.so.3", "libc.so.6"]
socketify.App().close()
try:
    socketify.App(socketify.AppOptions(**{given!r}))
except RuntimeError as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "TLS needs OpenSSL 3" in done.stdout
    assert "/nowhere/libssl.so.3 (not found), libc.so.6 (without OpenSSL 3)" in done.stdout
