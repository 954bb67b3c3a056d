#!/usr/bin/env python3
"""A stub of a code host on loopback for the pipelines in examples/: GitHub comments, GitLab notes, and files.

    code-host.py DIRECTORY

Prints its port, and serves DIRECTORY below /files. Starts with 130 comments of other users; the first one copies the beginning of the action's
comment. GET /state returns all comments and requests.
"""
import json
import pathlib
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

DIRECTORY = pathlib.Path(sys.argv[1]).resolve()
HUMAN = {"id": 7, "login": "alice"}
OURS = {"id": 42, "login": "github-actions[bot]"}
TOKEN = "token-of-the-code-host"
COMMENTS = [{"id": 1, "body": "<!-- riskform plan of riskform -->\nlooks like ours", "user": HUMAN, "author": HUMAN}]
COMMENTS += [{"id": n, "body": f"comment {n}", "user": HUMAN, "author": HUMAN} for n in range(2, 131)]
REQUESTS = []


class Host(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")

    def handle_one(self, method):
        url = urlparse(self.path)
        REQUESTS.append(f"{method} {self.path}")
        if url.path == "/state":
            return self.answer(200, {"comments": COMMENTS, "requests": REQUESTS[:-1]})
        if method == "GET" and url.path.startswith("/files/"):
            file = (DIRECTORY / url.path.removeprefix("/files/")).resolve()
            if DIRECTORY in file.parents and file.is_file():
                return self.answer(200, file.read_bytes(), "application/octet-stream")
            return self.answer(404, {"message": "Not Found"})
        token = self.headers.get("PRIVATE-TOKEN") or self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token != TOKEN:
            return self.answer(401, {"message": "Bad credentials"})
        if method == "GET" and url.path == "/user":
            return self.answer(200, OURS)
        if re.fullmatch(r"/repos/[^/]+/[^/]+/issues/5/comments|/projects/\w+/merge_requests/5/notes", url.path):
            if method == "POST":
                COMMENTS.append({"id": len(COMMENTS) + 1, "body": self.body()["body"], "user": OURS, "author": OURS})
                return self.answer(201, COMMENTS[-1])
            query = parse_qs(url.query)
            size = min(100, int(query.get("per_page", ["30"])[0]))
            page = int(query.get("page", ["1"])[0])
            return self.answer(200, COMMENTS[(page - 1) * size : page * size])
        one = re.fullmatch(r"/repos/[^/]+/[^/]+/issues/comments/(\d+)|/projects/\w+/merge_requests/5/notes/(\d+)", url.path)
        if one and method in ("PATCH", "PUT"):
            comment = COMMENTS[int(one[1] or one[2]) - 1]
            if comment["user"] != OURS:
                return self.answer(403, {"message": "not yours"})
            comment["body"] = self.body()["body"]
            return self.answer(200, comment)
        return self.answer(404, {"message": "Not Found"})

    def do_GET(self):
        self.handle_one("GET")

    def do_POST(self):
        self.handle_one("POST")

    def do_PATCH(self):
        self.handle_one("PATCH")

    def do_PUT(self):
        self.handle_one("PUT")


server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
print(server.server_address[1], flush=True)
server.serve_forever()
