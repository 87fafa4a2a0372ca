"""docs/gateway/nginx.conf before a gateway: TLS, streams that are not held back, what stays inside."""

import http.client
import os
import socket
import ssl
import subprocess
import time
import unittest

from world import DEADLINE_S, Process, World, directory, token_of


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class proxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        files = directory()
        os.chmod(files, 0o755)
        os.makedirs(f"{files}/tmp")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", f"{files}/key.pem", "-out", f"{files}/cert.pem"], check=True, capture_output=True)
        cls.port = free_port()
        with open(os.path.join(os.environ["ROWCALL_SOURCE_DIR"], "docs/gateway/nginx.conf"), encoding="utf-8") as file:
            text = file.read()
        for name, value in {"PID_FILE": f"{files}/pid", "ERROR_LOG": f"{files}/error.log", "TEMPORARY": f"{files}/tmp",
                            "CERTIFICATE_KEY": f"{files}/key.pem", "CERTIFICATE": f"{files}/cert.pem",
                            "LISTEN": f"127.0.0.1:{cls.port}", "server GATEWAY": "server " + cls.world.address.removeprefix("http://")}.items():
            text = text.replace(name, value)
        with open(f"{files}/nginx.conf", "w", encoding="utf-8") as file:
            file.write(text)
        nginx = "/usr/sbin/nginx"
        cls.nginx = Process([nginx, "-c", f"{files}/nginx.conf", "-g", "daemon off;"], dict(os.environ))
        cls.tls = ssl.create_default_context(cafile=f"{files}/cert.pem")
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", cls.port)).close()
                return
            except OSError:
                if time.monotonic() > deadline or cls.nginx.child.poll() is not None:
                    raise AssertionError("nginx did not start: " + cls.nginx.output) from None

    @classmethod
    def tearDownClass(cls):
        cls.nginx.stop()
        cls.world.close()

    def connect(self):
        return http.client.HTTPSConnection("localhost", self.port, context=self.tls, timeout=DEADLINE_S)

    def test_commands_and_streams_go_through_tls(self):
        headers = {"Authorization": "Bearer " + token_of("tls")}
        stream = self.connect()
        stream.request("GET", "/v1/sessions/user-tls/updates", headers={**headers, "Accept": "text/event-stream"})
        response = stream.getresponse()
        self.assertEqual(response.status, 200)
        lines = []
        while "event: ready" not in lines:
            lines.append(response.readline().decode().rstrip("\n"))
        poster = self.connect()
        for i in range(3):
            poster.request("POST", "/v1/sessions/user-tls/commands?wait=10s", body='{"type":"select_chat"}',
                           headers={**headers, "Content-Type": "application/json"})
            answer = poster.getresponse()
            answer.read()
            self.assertEqual(answer.status, 200)
            # It is here although nothing follows it: the proxy holds nothing back.
            while f"id: {i + 1}" not in lines:
                lines.append(response.readline().decode().rstrip("\n"))
        stream.close()

    def test_metrics_stay_inside(self):
        c = self.connect()
        c.request("GET", "/metrics")
        self.assertEqual(c.getresponse().status, 403)

    def test_limits_agree(self):
        c = self.connect()
        c.request("POST", "/v1/sessions/user-tls/commands", body=b"x" * (1024 * 1024 + 1),
                  headers={"Authorization": "Bearer " + token_of("tls"), "Content-Type": "application/json"})
        self.assertEqual(c.getresponse().status, 413)


if __name__ == "__main__":
    unittest.main(verbosity=2)
