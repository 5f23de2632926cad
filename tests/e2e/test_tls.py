# SPDX-License-Identifier: BSD-2-Clause
"""A server of OpenSSL's with certificates as operators make them: taken, or refused in words that say why."""

import json
import re
import ssl
import subprocess
import unittest
from pathlib import Path

from . import wait
from .receiver import Receiver
from .varnishd import Varnishd, folder_for_child

VCL = """
vcl 4.1;

import sentry;

backend none none;

sub vcl_init {{
    sentry.init("{dsn}");
    sentry.server(ca_file = "{ca_file}");
}}

sub vcl_recv {{
    if (req.url == "/event") {{
        sentry.capture("over TLS");
    }}
    return (synth(200));
}}

sub vcl_synth {{
    set resp.body = sentry.status();
    return (deliver);
}}
"""


def certificate(folder: Path, *words: str) -> ssl.SSLContext:
    """Makes `own.pem` in the folder, and what a server shows it with."""
    pem, key = folder / "own.pem", folder / "own.key"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-keyout", key, "-out", pem]
    subprocess.run([*made, *words], check=True, capture_output=True)
    pem.chmod(0o644)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context


class Tls(unittest.TestCase):
    def test_a_self_signed_certificate_as_openssl_makes_it_can_be_the_ca_file(self) -> None:
        for words in (["-subj", "/CN=localhost"], ["-subj", "/CN=x", "-addext", "subjectAltName=DNS:localhost"]):
            with self.subTest(words), folder_for_child() as folder:
                with Receiver(tls=certificate(folder, *words)) as receiver:
                    vcl = VCL.format(dsn=receiver.dsn, ca_file=folder / "own.pem")
                    with Varnishd(vcl) as varnishd:
                        varnishd.request("/event")
                        receiver.wait_for(1)
                self.assertEqual(receiver.complaints, [])

    def test_what_is_wrong_with_a_certificate_is_a_sentence_in_log_and_status_until_it_is_right(self) -> None:
        text = "the server's certificate is not for localhost, it is for sentry.example, *.sentry.example"
        with folder_for_child() as folder:
            names = "subjectAltName=DNS:sentry.example,DNS:*.sentry.example"
            context = certificate(folder, "-subj", "/CN=localhost", "-addext", names)
            with Receiver(tls=context) as receiver:
                vcl = VCL.format(dsn=receiver.dsn, ca_file=folder / "own.pem")
                with Varnishd(vcl) as varnishd:
                    varnishd.request("/event")

                    def error() -> str | None:
                        return json.loads(varnishd.request("/").body)[0]["last_error"]

                    wait.until(lambda: error() is not None, "sending fails")
                    self.assertEqual(error(), text)
                    logged = rf"sentry default: sending failed, {re.escape(text)}, next try in [0-9.]+ s\n"
                    self.assertRegex(self.log(varnishd), logged)
                    self.assertEqual(receiver.events, [])
                    # A new certificate for the server, and as the ca_file.
                    certificate(folder, "-subj", "/CN=localhost")
                    context.load_cert_chain(folder / "own.pem", folder / "own.key")
                    receiver.wait_for(1)

    def log(self, varnishd: Varnishd) -> str:
        command = ["varnishlog", "-n", str(varnishd.folder / "work"), "-d", "-g", "raw", "-i", "Error"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
