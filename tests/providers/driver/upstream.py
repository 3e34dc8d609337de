"""An API behind the gateway that lets in whoever the provider vouches for: it asks UserInfo with the bearer it is given."""

import http.client
import http.server
import json
import threading
import urllib.parse


class Upstream:
    """`calls` holds the bearer of each call and what the provider said of it."""

    def __init__(self, userinfo):
        self.calls = []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self):
                scheme, _, token = (self.headers.get('Authorization') or '').partition(' ')
                status, claims = ask(userinfo, token) if scheme == 'Bearer' else (401, {})
                upstream.calls.append((token, status))
                body = json.dumps({'sub': claims.get('sub')}).encode()
                self.send_response(200 if status == 200 else 401)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.url = f'http://127.0.0.1:{self.server.server_address[1]}'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def last_bearer(self):
        return self.calls[-1][0]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def ask(userinfo, token):
    """What the provider's UserInfo endpoint says of a token: the status, and the claims."""
    target = urllib.parse.urlsplit(userinfo)
    connection = http.client.HTTPConnection('127.0.0.1', target.port, timeout=30)
    try:
        headers = {'Host': target.netloc, 'Authorization': f'Bearer {token}', 'Accept': 'application/json'}
        connection.request('GET', target.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) if answer.status == 200 else {}
    finally:
        connection.close()
