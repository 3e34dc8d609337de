"""Debian's Glewlwyd with SQLite. Its pages are scripts: the driver sends what they send."""

import gzip
import json
import os
import pathlib
import subprocess
import urllib.parse

from driver.browser import Browser
from driver.processes import Child
from driver.provider import Provider

PASSWORD = 'correct horse battery staple'
# As its own database script sets it.
ADMIN_PASSWORD = 'password'
PLUGIN = 'oidc'

CONFIGURATION = """\
port = {port}
external_url = "{origin}"
login_url = "login.html"
api_prefix = "api"
static_files_path = "{share}/webapp/"
log_mode = "console"
log_level = "WARNING"
cookie_domain = "localhost"
cookie_secure = 0
session_key = "GLEWLWYD2_SESSION_ID"
admin_scope = "g_admin"
profile_scope = "g_profile"
user_module_path = "{modules}/user"
user_middleware_module_path = "{folder}/no-middleware"
client_module_path = "{modules}/client"
user_auth_scheme_module_path = "{modules}/scheme"
plugin_module_path = "{modules}/plugin"
hash_algorithm = "SHA512"
database = {{ type = "sqlite3"; path = "{folder}/glewlwyd.sqlite3"; }};
static_files_mime_types = (
  {{ extension = ".html"; mime_type = "text/html"; compress = 0; }},
  {{ extension = "*"; mime_type = "application/octet-stream"; compress = 0; }}
)
"""


class Glewlwyd(Provider):
    backchannel = True
    configuration = ['scopes = ["openid"]', 'empty_400 = "rejected"', 'logout_token_exp = "optional"']
    facts = {
        'an unknown code': '403 invalid_code',
        'iss in the callback': True,
        'refresh token': True,
        'access token': 'JWT',
        'scope in the answer': True,
        'sid in the ID token': True,
        'ID token algorithm': 'RS256',
        'ID token at refresh': False,
        'rotation': True,
        'reuse': '400, no body',
        'reuse revokes the family': True,
        'a dead refresh token': '400, no body',
        'end_session': True,
        'revocation': True,
        'back-channel logout': True,
    }

    @property
    def issuer(self):
        return f'{self.origin}/api/{PLUGIN}'

    def start(self, site):
        root = self.tools / 'root'
        self._make_database(root / 'usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz')
        (self.folder / 'no-middleware').mkdir()
        file = self.folder / 'glewlwyd.conf'
        file.write_text(
            CONFIGURATION.format(
                port=self.own_port,
                origin=self.origin,
                folder=self.folder,
                share=root / 'usr/share/glewlwyd',
                modules=root / 'usr/lib/glewlwyd',
            )
        )
        libraries = sorted({str(path.parent) for path in root.glob('usr/lib/*/*.so*')})
        environment = {'PATH': os.environ['PATH'], 'LD_LIBRARY_PATH': ':'.join(libraries)}
        self.child = Child([root / 'usr/bin/glewlwyd', '-c', file], self.folder / 'provider.log', environment)
        self.child.wait_for(self.port, '/login.html')
        self._set_up(site)

    def sign_in(self, browser, page):
        """What login.html does: the password, the grant, then back to where the page was asked for."""
        if not self.is_at(page):
            return page
        asked = page.query()
        self._api(browser, 'POST', 'auth/', {'username': 'ada', 'password': PASSWORD})
        self._api(browser, 'PUT', f'auth/grant/{asked["client_id"]}', {'scope': asked['scope']})
        return browser.open(asked['callback_url'] + '&g_continue', page.url)

    def confirm_logout(self, browser, page):
        """What login.html does with `prompt=end_session`."""
        return browser.open(self._end_session(browser, page)['callback_url'], page.url)

    def sign_out(self, browser, id_token):
        """Another application of the same session sends the user to `end_session`."""
        page = browser.open(f'{self.issuer}/end_session?{urllib.parse.urlencode({"id_token_hint": id_token})}')
        self._end_session(browser, page)

    def stop(self):
        if hasattr(self, 'child'):
            self.child.stop()

    def _end_session(self, browser, page):
        asked = page.query()
        assert asked.get('prompt') == 'end_session', page
        self._api(browser, 'DELETE', f'{asked["plugin"]}/session/{asked["sid"]}')
        self._api(browser, 'DELETE', 'auth/')
        return asked

    def _make_database(self, script):
        with gzip.open(script, 'rt') as file:
            text = file.read()
        database = self.folder / 'glewlwyd.sqlite3'
        subprocess.run(['sqlite3', database], input=text, text=True, check=True, capture_output=True)

    def _set_up(self, site):
        key = self.folder / 'key.pem'
        subprocess.run(['openssl', 'genrsa', '-out', key, '2048'], check=True, capture_output=True)
        public = subprocess.run(['openssl', 'rsa', '-in', key, '-pubout'], check=True, capture_output=True, text=True)
        admin = Browser()
        self._api(admin, 'POST', 'auth/', {'username': 'admin', 'password': ADMIN_PASSWORD})
        plugin = {
            'iss': self.issuer,
            'jwt-type': 'rsa',
            'jwt-key-size': '256',
            'key': key.read_text(),
            'cert': public.stdout,
            'code-duration': 60,
            'refresh-token-duration': 86400,
            'refresh-token-rolling': False,
            'refresh-token-one-use': 'always',
            'access-token-duration': 4,
            'allow-non-oidc': False,
            'auth-type-code-enabled': True,
            'auth-type-refresh-enabled': True,
            'pkce-allowed': True,
            'pkce-method-plain-allowed': False,
            'introspection-revocation-allowed': True,
            'introspection-revocation-allow-target-client': True,
            'session-management-allowed': True,
            'session-cookie-name': 'GLEWLWYD2_OIDC_SID',
            'session-cookie-expiration': 86400,
            'back-channel-logout-allowed': True,
            'oauth-as-iss-id': True,
        }
        self._api(
            admin, 'POST', 'mod/plugin/',
            {'module': 'oidc', 'name': PLUGIN, 'display_name': 'OpenID Connect', 'enabled': True, 'parameters': plugin},
        )
        self._api(
            admin, 'POST', 'user/',
            {
                'username': 'ada', 'password': PASSWORD, 'name': 'Ada Lovelace', 'email': 'ada@example.test',
                'scope': ['openid', 'g_profile'], 'enabled': True,
            },
        )
        scope = {'name': 'openid', 'display_name': 'Open ID', 'password_required': True, 'password_max_age': 0, 'scheme': {}}
        self._api(admin, 'PUT', 'scope/openid', scope)
        self._let_clients_have_logout_uris(admin)
        self._api(
            admin, 'POST', 'client/',
            {
                'client_id': site.client_id,
                'name': 'App One',
                'confidential': True,
                'client_secret': site.client_secret,
                'token_endpoint_auth_method': ['client_secret_basic'],
                'authorization_type': ['code', 'refresh_token', 'client_credentials'],
                'redirect_uri': [site.redirect_uri],
                'post_logout_redirect_uris': [site.post_logout_redirect_uri],
                'backchannel_logout_uri': site.backchannel_logout_uri,
                'backchannel_logout_session_required': 'true',
                'scope': [],
                'enabled': True,
            },
        )

    def _let_clients_have_logout_uris(self, admin):
        """The database script of the package knows the name without its last letter, which the plugin does not read."""
        module = self._api(admin, 'GET', 'mod/client/database')
        module['parameters']['data-format']['post_logout_redirect_uris'] = {'multiple': True, 'read': True, 'write': True}
        self._api(admin, 'PUT', 'mod/client/database', module)
        self._api(admin, 'PUT', 'mod/client/database/reset/')

    def _api(self, browser, method, path, body=None):
        headers = {'Content-Type': 'application/json'} if body is not None else {}
        text = json.dumps(body) if body is not None else None
        page = browser.fetch(method, f'{self.origin}/api/{path}', text, headers)
        assert page.status == 200, f'{method} {path}: {page}'
        return json.loads(page.text) if page.text else None


THE_PROVIDER = Glewlwyd
