"""django-oauth-toolkit on Django's own development server, with SQLite."""

import os
import pathlib
import secrets
import subprocess

from driver.processes import Child
from driver.provider import Provider

HERE = pathlib.Path(__file__).resolve().parent
PASSWORD = 'correct horse battery staple'
ALLOW = ('allow', 'Authorize')
SIGN_OUT = ('allow', 'Logout')


class DjangoOAuthToolkit(Provider):
    # It knows only the scopes of its settings, and gives refresh tokens without being asked.
    configuration = ['scopes = ["openid", "profile", "email"]']
    facts = {
        'an unknown code': '400 invalid_grant',
        'iss in the callback': False,
        'refresh token': True,
        'access token': 'opaque',
        'scope in the answer': True,
        'sid in the ID token': False,
        'ID token algorithm': 'RS256',
        'ID token at refresh': True,
        'rotation': True,
        'reuse': '400 invalid_grant',
        'reuse revokes the family': True,
        'a dead refresh token': '400 invalid_grant',
        'end_session': True,
        'revocation': False,
        'back-channel logout': False,
    }

    @property
    def issuer(self):
        return f'{self.origin}/o'

    def start(self, site):
        key = self.folder / 'oidc.pem'
        subprocess.run(['openssl', 'genrsa', '-out', key, '2048'], check=True, capture_output=True)
        self.environment = {
            'PATH': os.environ['PATH'],
            'DJANGO_SETTINGS_MODULE': 'settings',
            'PYTHONDONTWRITEBYTECODE': '1',
            'PROVIDER_FOLDER': str(self.folder),
            'PROVIDER_SECRET_KEY': secrets.token_urlsafe(48),
            'DJANGO_SUPERUSER_PASSWORD': PASSWORD,
        }
        self._manage('migrate', '--verbosity', '0')
        self._manage('createsuperuser', '--noinput', '--username', 'ada', '--email', 'ada@example.test')
        self._manage(
            'createapplication', 'confidential', 'authorization-code',
            '--client-id', site.client_id,
            '--client-secret', site.client_secret,
            '--redirect-uris', site.redirect_uri,
            '--post-logout-redirect-uris', site.post_logout_redirect_uri,
            '--algorithm', 'RS256',
            '--name', 'App One',
        )
        command = [self._python(), '-m', 'django', 'runserver', '--noreload', f'127.0.0.1:{self.own_port}']
        self.child = Child(command, self.folder / 'provider.log', self.environment, HERE)
        self.child.wait_for(self.port, '/o/.well-known/openid-configuration')

    def sign_in(self, browser, page):
        if any('password' in form.kinds for form in page.forms):
            page = browser.submit(page, {'username': 'ada', 'password': PASSWORD}, form=lambda form: 'password' in form.kinds)
        if self.is_at(page):
            page = browser.submit(page, button=ALLOW, form=lambda form: 'allow' in form.kinds)
        return page

    def confirm_logout(self, browser, page):
        return browser.submit(page, button=SIGN_OUT, form=lambda form: 'allow' in form.kinds) if self.is_at(page) else page

    def stop(self):
        if hasattr(self, 'child'):
            self.child.stop()

    def _python(self):
        return self.tools / 'venv/bin/python'

    def _manage(self, *words):
        command = [self._python(), '-m', 'django', *words]
        outcome = subprocess.run(command, env=self.environment, cwd=HERE, capture_output=True, text=True)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr


THE_PROVIDER = DjangoOAuthToolkit
