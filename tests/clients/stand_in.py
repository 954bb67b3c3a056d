"""Stands between the vendor's own test suites and the sandbox.

The suites were written for a mock that answers whatever account, user or integration is asked for. So this gives each request a
real one in the place of the suite's: an account, a token, a behavior, a user, and an integration that was made for it. Prints its
own address.

The sandbox's address and token come from the environment, as for any program that uses a client.
"""

import http.client
import http.server
import json
import os
import re
import urllib.parse

BASE = urllib.parse.urlsplit(os.environ["CLOUDFLARE_BASE_URL"])
ACCOUNT = os.environ["CLOUDFLARE_ACCOUNT_ID"]
ROOT = f"{BASE.path}/accounts/{ACCOUNT}/zt_risk_scoring"
ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
DROPPED = {"host", "connection", "content-length", "authorization", "x-auth-key", "x-auth-email"}


def ask(method, path, body=b"", headers=None):
    connection = http.client.HTTPConnection(BASE.netloc)
    headers = {**(headers or {}), "authorization": f"Bearer {os.environ['CLOUDFLARE_API_TOKEN']}"}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.getheaders(), answer.read()


def result(method, path, body=None):
    status, _, answer = ask(method, path, json.dumps(body) if body else b"", {"content-type": "application/json"})
    assert status < 300, answer
    return json.loads(answer)["result"]


USER = result("GET", f"{ROOT}/summary")["users"][0]["user_id"]


def integration(reference):
    body = {"integration_type": "Okta", "tenant_url": "https://example.com", "reference_id": reference}
    return result("POST", f"{ROOT}/integrations", body)["id"]


class Between(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        path = BASE.path + self.path.replace("/accounts/account_id/", f"/accounts/{ACCOUNT}/")
        if f"/integrations/{ID}" in path:
            path = path.replace(ID, integration(ID))
        elif "/integrations/reference_id/" in path:
            integration("reference_id")
        path = re.sub(f"/zt_risk_scoring/{ID}", f"/zt_risk_scoring/{USER}", path)
        body = self.rfile.read(int(self.headers.get("content-length", 0))).replace(b'"foo"', b'"imp_travel"')
        sent = {name: value for name, value in self.headers.items() if name.lower() not in DROPPED}
        status, headers, answer = ask(self.command, path, body, sent)
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = forward

    def log_message(self, *_):
        pass


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between) as server:
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
