"""Canaille on its own server, with SQLite."""

import os
import secrets
import subprocess

from driver.processes import Child
from driver.provider import Provider

PASSWORD = 'correct horse battery staple'

# 127.0.0.1 is where the site is; Canaille goes back after a logout only to hosts it trusts.
CONFIGURATION = """\
SECRET_KEY = "{secret}"
SERVER_NAME = "localhost:{port}"
PREFERRED_URL_SCHEME = "http"
OAUTH2_TOKEN_EXPIRES_IN = {{ authorization_code = 10, refresh_token = 10 }}

[CANAILLE]
JAVASCRIPT = false
EMAIL_CONFIRMATION = false

[CANAILLE_SQL]
DATABASE_URI = "sqlite:///{folder}/canaille.sqlite3"

[CANAILLE_OIDC]
TRUSTED_DOMAINS = ["127.0.0.1"]
"""


class Canaille(Provider):
    refresh_token_outlives = False
    facts = {
        'an unknown code': '400 invalid_grant',
        'iss in the callback': True,
        'refresh token': True,
        'access token': 'JWT',
        'scope in the answer': True,
        'sid in the ID token': False,
        'ID token algorithm': 'RS512',
        'ID token at refresh': False,
        'rotation': True,
        'reuse': '400 invalid_grant',
        'reuse revokes the family': False,
        'a dead refresh token': '400 invalid_grant',
        'end_session': True,
        'revocation': True,
        'back-channel logout': False,
    }

    def start(self, site):
        file = self.folder / 'canaille.toml'
        file.write_text(CONFIGURATION.format(secret=secrets.token_urlsafe(48), port=self.port, folder=self.folder))
        self.environment = {'PATH': os.environ['PATH'], 'CANAILLE_CONFIG': str(file)}
        self._canaille('install')
        self._canaille(
            'create', 'user', '--user-name', 'ada', '--password', PASSWORD,
            '--emails', 'ada@example.test', '--formatted-name', 'Ada Lovelace', '--family-name', 'Lovelace',
        )
        self._canaille(
            'create', 'client',
            '--client-id', site.client_id,
            '--client-secret', site.client_secret,
            '--client-name', 'App One',
            '--redirect-uris', site.redirect_uri,
            '--post-logout-redirect-uris', site.post_logout_redirect_uri,
            '--token-endpoint-auth-method', 'client_secret_basic',
            '--grant-types', 'authorization_code', '--grant-types', 'refresh_token',
            '--response-types', 'code',
            '--scope', 'openid', '--scope', 'profile', '--scope', 'email',
        )
        # Its web pages do this by themselves; without it `aud` of every ID token is an empty list.
        self._canaille('set', 'client', site.client_id, '--audience', site.client_id)
        command = [self._program(), 'run', '--bind', f'127.0.0.1:{self.own_port}']
        self.child = Child(command, self.folder / 'provider.log', self.environment, self.folder)
        self.child.wait_for(self.port, '/.well-known/openid-configuration')

    def sign_in(self, browser, page):
        if any('login' in form.kinds for form in page.forms):
            page = browser.submit(page, {'login': 'ada'}, form=lambda form: 'login' in form.kinds)
            page = browser.submit(page, {'password': PASSWORD}, form=lambda form: 'password' in form.kinds)
        if self.is_at(page):
            page = browser.submit(page, button=('answer', 'accept'), form=lambda form: 'answer' in form.kinds)
        return page

    def confirm_logout(self, browser, page):
        return page

    def stop(self):
        if hasattr(self, 'child'):
            self.child.stop()

    def _program(self):
        return self.tools / 'venv/bin/canaille'

    def _canaille(self, *words):
        command = [self._program(), *words]
        outcome = subprocess.run(command, env=self.environment, cwd=self.folder, capture_output=True, text=True)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr


THE_PROVIDER = Canaille
