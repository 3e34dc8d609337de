"""What the journey wants of a provider; `tests/providers/NAME/provider.py` says how NAME does it."""

import urllib.parse

from .browser import origin_of
from .processes import free_port


class Provider:
    """Listens on `own_port`; the world sees it on `port`, behind the tap."""

    # Whether it sends logout tokens.
    backchannel = False
    # Whether a refresh token still works when the access token it came with is over.
    refresh_token_outlives = True
    # Further lines of its [[site.provider]].
    configuration = []
    # What the README says of it; the journey has to find the same.
    facts = {}

    def __init__(self, folder, tools):
        self.folder, self.tools = folder, tools
        self.port, self.own_port = free_port(), free_port()
        self.origin = f'http://localhost:{self.port}'

    @property
    def issuer(self):
        return self.origin

    def start(self, site):
        """Starts it with one user and one client, the gateway."""
        raise NotImplementedError

    def sign_in(self, browser, page):
        """From the first page of the provider to the page after the login."""
        raise NotImplementedError

    def confirm_logout(self, browser, page):
        """From where the logout URL led to the page after it; some providers ask first."""
        raise NotImplementedError

    def sign_out(self, browser, id_token):
        """The user signs out at the provider, past the gateway; only asked of those with a back channel."""
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError

    def is_at(self, page):
        return origin_of(page.url) == self.origin

    def url_at_own_port(self, url):
        return url.replace(f'localhost:{self.port}', f'localhost:{self.own_port}')

    def host(self):
        return {'Host': f'localhost:{self.port}'}

    def path_of(self, url):
        return urllib.parse.urlsplit(url).path
