"""The real `cloakroom` in front of the upstream, with a configuration as its operator would write it."""

import json
import secrets
import subprocess

from .processes import Child, free_port

CONFIGURATION = """\
[server]
listen = "127.0.0.1:{port}"
drain_delay = "0s"

[admin]
listen = "127.0.0.1:{admin_port}"

[log]
level = "debug"

[[site]]
origin = "{origin}"

[site.session]
keys = [{{ env = "SITE_KEY" }}]

[[site.provider]]
issuer = "{issuer}"
client_id = "{client_id}"
client_secret = {{ env = "CLIENT_SECRET" }}
{lines}

[[site.route]]
path = "/api"
upstream = "{upstream}"
"""


class Site:
    """What a provider has to know of the gateway, and the gateway of itself."""

    def __init__(self):
        self.port, self.admin_port = free_port(), free_port()
        self.origin = f'http://127.0.0.1:{self.port}'
        self.client_id = 'app-one'
        self.client_secret = secrets.token_urlsafe(32)
        self.redirect_uri = f'{self.origin}/bff/callback'
        self.post_logout_redirect_uri = f'{self.origin}/bff/logout/callback'
        self.backchannel_logout_uri = f'{self.origin}/bff/backchannel-logout'


class Gateway:
    """`check` and `doctor` first, then `serve`."""

    def __init__(self, binary, folder, site, issuer, lines, upstream):
        self.binary, self.site, self.folder = binary, site, folder
        self.file = folder / 'gateway.toml'
        self.file.write_text(
            CONFIGURATION.format(
                port=site.port,
                admin_port=site.admin_port,
                origin=site.origin,
                issuer=issuer,
                client_id=site.client_id,
                lines='\n'.join(lines),
                upstream=upstream,
            )
        )
        self.environment = {'SITE_KEY': self._run('keygen').stdout.strip(), 'CLIENT_SECRET': site.client_secret}
        self.child = None

    def check(self):
        outcome = self._run('check', '--config', self.file)
        assert outcome.returncode == 0, outcome.stderr + outcome.stdout

    def doctor(self):
        outcome = self._run('doctor', '--config', self.file)
        assert outcome.returncode == 0, outcome.stderr + outcome.stdout

    def start(self):
        command = [self.binary, 'serve', '--config', self.file]
        self.child = Child(command, self.folder / 'gateway.log', self.environment)
        self.child.wait_for(self.site.admin_port, '/readyz')

    def log(self):
        return (self.folder / 'gateway.log').read_text()

    def events(self):
        """The log as objects."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith('{')]

    def stop(self):
        if self.child:
            self.child.stop()

    def _run(self, *words):
        command = [str(word) for word in (self.binary, *words)]
        environment = getattr(self, 'environment', {})
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
