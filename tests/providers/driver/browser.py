"""A browser, as far as logins need one: cookies by host, redirects, and forms found in the HTML and filled in."""

import html.parser
import http.client
import http.cookies
import urllib.parse

LONGEST_CHAIN = 15


class Form:
    """A form as the page shows it: what is filled in already, and its buttons."""

    def __init__(self, attributes):
        self.action = attributes.get('action') or ''
        self.method = (attributes.get('method') or 'get').upper()
        self.id = attributes.get('id')
        self.fields = []
        self.kinds = {}
        self.buttons = []

    def add(self, tag, attributes):
        name, kind = attributes.get('name'), (attributes.get('type') or '').lower()
        if tag == 'button' or kind in ('submit', 'image'):
            if kind not in ('button', 'reset'):
                self.buttons.append((name, attributes.get('value') or ''))
        elif name and (kind not in ('checkbox', 'radio') or 'checked' in attributes):
            self.fields.append((name, attributes.get('value') or ''))
        if name:
            self.kinds[name] = kind

    def filled(self, values, button):
        """The pairs that a submission by `button`, a name and a value, sends; `values` replace what is there."""
        assert button is None or button in self.buttons, f'the form has no button {button}, but {self.buttons}'
        unknown = [name for name in values if name not in self.kinds]
        assert not unknown, f'the form has no field {unknown}, but {sorted(self.kinds)}'
        pairs = [(name, value) for name, value in self.fields if name not in values]
        pairs += values.items()
        return pairs + ([button] if button else [])


class Forms(html.parser.HTMLParser):
    """Every form of a page, with the fields that point at it by its id from outside."""

    FIELDS = ('input', 'button', 'select', 'textarea')

    def __init__(self, text):
        super().__init__()
        self.forms = []
        self.open = None
        self.outside = []
        self.feed(text)
        for owner, tag, attributes in self.outside:
            for form in self.forms:
                if form.id == owner:
                    form.add(tag, attributes)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == 'form':
            self.open = Form(attributes)
            self.forms.append(self.open)
        elif tag in self.FIELDS and 'form' in attributes:
            self.outside.append((attributes['form'], tag, attributes))
        elif tag in self.FIELDS and self.open is not None:
            self.open.add(tag, attributes)

    def handle_endtag(self, tag):
        if tag == 'form':
            self.open = None


class Page:
    """An answer, with the URL it came from after all redirects."""

    def __init__(self, url, status, headers, body):
        self.url, self.status, self.headers, self.body = url, status, headers, body
        self.text = body.decode('utf-8', 'replace')

    @property
    def location(self):
        return self.headers.get('Location')

    @property
    def forms(self):
        return Forms(self.text).forms

    def query(self):
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.url).query))

    def __str__(self):
        return f'{self.status} at {self.url.split("?")[0]}: {self.text[:600]}'


class Browser:
    """Cookies are kept by host name and path, ports aside, as browsers do."""

    def __init__(self):
        self.cookies = {}
        self.pages = []

    def open(self, url, referer=None):
        """A top-level navigation."""
        return self._navigate('GET', url, None, referer)

    def submit(self, page, values=None, button=None, form=None):
        """Fills in and sends the page's form, or the one for which `form` is true."""
        forms = [one for one in page.forms if form is None or form(one)]
        assert forms, f'no such form on the page: {page}'
        pairs = forms[0].filled(values or {}, button)
        target = urllib.parse.urljoin(page.url, forms[0].action)
        encoded = urllib.parse.urlencode(pairs)
        if forms[0].method == 'GET':
            return self._navigate('GET', f'{target.split("?")[0]}?{encoded}', None, page.url)
        return self._navigate('POST', target, encoded, page.url)

    def fetch(self, method, url, body=None, headers=None):
        """What `fetch` does in a page of the same origin: no redirect is followed."""
        sent = {'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty', 'Accept': '*/*'}
        if method != 'GET':
            sent['Origin'] = origin_of(url)
        return self._send(method, url, body, {**sent, **(headers or {})})

    def _navigate(self, method, url, body, referer):
        first_party = referer is not None and origin_of(referer) == origin_of(url)
        for _ in range(LONGEST_CHAIN):
            headers = {
                'Sec-Fetch-Mode': 'navigate',
                'Sec-Fetch-Dest': 'document',
                'Sec-Fetch-Site': 'same-origin' if first_party else 'cross-site',
                'Accept': 'text/html,application/xhtml+xml,*/*;q=0.8',
            }
            if referer:
                headers['Referer'] = referer
            if body is not None:
                headers |= {'Content-Type': 'application/x-www-form-urlencoded', 'Origin': origin_of(referer)}
            page = self._send(method, url, body, headers)
            if page.status not in (301, 302, 303, 307, 308):
                return page
            target = urllib.parse.urljoin(url, page.location)
            first_party = first_party and origin_of(target) == origin_of(url)
            url = target
            if page.status not in (307, 308):
                method, body = 'GET', None
        raise AssertionError(f'more than {LONGEST_CHAIN} redirects, the last to {url.split("?")[0]}')

    def _send(self, method, url, body, headers):
        target = urllib.parse.urlsplit(url)
        path = target.path or '/'
        headers = {'Host': target.netloc, 'User-Agent': 'providers-driver', **headers}
        cookies = self._cookies_for(target.hostname, path)
        if cookies:
            headers['Cookie'] = cookies
        connection = http.client.HTTPConnection('127.0.0.1', target.port or 80, timeout=30)
        try:
            connection.request(method, path + (f'?{target.query}' if target.query else ''), body, headers)
            answer = connection.getresponse()
            page = Page(url, answer.status, answer.headers, answer.read())
        finally:
            connection.close()
        for line in page.headers.get_all('Set-Cookie') or []:
            self._keep(target.hostname, path, line)
        self.pages.append(page)
        return page

    def _cookies_for(self, host, path):
        def reaches(scope):
            return path == scope or path.startswith(scope if scope.endswith('/') else scope + '/')

        fitting = [(key, value) for key, value in self.cookies.items() if key[0] == host and reaches(key[1])]
        return '; '.join(f'{key[2]}={value}' for key, value in fitting)

    def _keep(self, host, path, line):
        for name, morsel in http.cookies.SimpleCookie(line).items():
            scope = morsel['path'] or path.rsplit('/', 1)[0] or '/'
            if morsel['max-age'] == '0' or morsel['expires'].find('1970') >= 0 or morsel.coded_value in ('', '""'):
                self.cookies.pop((host, scope, name), None)
            else:
                self.cookies[(host, scope, name)] = morsel.coded_value


def origin_of(url):
    parts = urllib.parse.urlsplit(url)
    return f'{parts.scheme}://{parts.netloc}'
