"""The whole life of a login, step by step, and what is learnt about the provider on the way."""

import base64
import json
import time
import urllib.parse

from .browser import Browser, origin_of


# The part of a token's life after which the gateway renews it beside the calls, and a little more.
EARLY = 0.82


class NotApplicable(Exception):
    """The provider does not have what the step is about."""


class Journey:
    """One browser, one provider, one gateway. Each public step raises what went wrong; `facts` fills up on the way."""

    def __init__(self, provider, tap, site, gateway, upstream, metadata):
        self.provider, self.tap, self.site = provider, tap, site
        self.gateway, self.upstream, self.metadata = gateway, upstream, metadata
        self.browser = Browser()
        self.browsers = [self.browser]
        self.facts = {}

    # The steps, in their order.

    def configuration_is_accepted(self):
        self.gateway.check()

    def doctor_finds_nothing_wrong(self):
        self.gateway.doctor()
        probe = self.tap.of(self.metadata['token_endpoint'], grant_type='authorization_code')[-1]
        self.facts['an unknown code'] = refusal(probe.status, probe.json())

    def login_ends_at_the_site(self):
        self.gateway.start()
        page = self._sign_in()
        assert page.url == f'{self.site.origin}/start?x=1', f'the login ended elsewhere: {page}'
        callback = self._callbacks()[-1]
        self.facts['iss in the callback'] = 'iss' in callback
        granted = self._granted('authorization_code')[-1]
        self.facts['refresh token'] = 'refresh_token' in granted
        self.facts['access token'] = 'JWT' if granted['access_token'].count('.') == 2 else 'opaque'
        self.facts['scope in the answer'] = 'scope' in granted
        claims = payload(granted['id_token'])
        self.facts['sid in the ID token'] = 'sid' in claims
        self.facts['ID token algorithm'] = header(granted['id_token'])['alg']

    def session_names_the_user(self):
        session = self._session()
        assert session['authenticated'], session
        claims = payload(self._granted('authorization_code')[-1]['id_token'])
        assert session['user']['sub'] == claims['sub'], session
        assert session['provider'] == 'main', session

    def api_call_carries_the_bearer(self):
        answer = self._call()
        assert answer.status == 200, answer
        assert self.upstream.last_bearer == self._granted('authorization_code')[-1]['access_token']

    def expired_token_is_refreshed(self):
        first = self._granted('authorization_code')[-1]
        answer = self._call_with_a_newer_token_than(first)
        assert answer.status == 200, answer
        assert len(self._granted('refresh_token')) == 1, 'more than one refresh'
        second = self._granted('refresh_token')[-1]
        assert self.upstream.last_bearer == second['access_token'] != first['access_token']
        given = second.get('refresh_token')
        self.facts['rotation'] = given is not None and given != first['refresh_token']
        self.facts['ID token at refresh'] = 'id_token' in second

    def old_refresh_token_is_refused(self):
        """The provider's own doing; the driver plays the thief."""
        if not self.facts['rotation']:
            raise NotApplicable('the provider does not rotate')
        status, body = self._redeem(self._granted('authorization_code')[-1]['refresh_token'])
        assert status in (400, 401), f'{status} {body}'
        self.facts['reuse'] = refusal(status, body)

    def session_after_the_theft_is_clear(self):
        """Either the theft had no effect on the rightful holder, or the session ends with its reason."""
        if not self.facts['rotation']:
            raise NotApplicable('the provider does not rotate')
        answer = self._call_with_a_newer_token_than(self._granted('refresh_token')[-1])
        self.facts['reuse revokes the family'] = answer.status != 200
        if answer.status != 200:
            self._is_refused(answer)

    def refresh_token_past_its_end_ends_the_session(self):
        if self.provider.refresh_token_outlives:
            raise NotApplicable('it outlives this test')
        self._let_it_expire(self._granted('refresh_token')[-1])
        self._is_refused(self._call())

    def logout_ends_both_sessions(self):
        self._sign_in()
        held = self._granted('authorization_code')[-1]['refresh_token']
        page = self._log_out('/bye?y=2')
        self.facts['end_session'] = 'end_session_endpoint' in self.metadata
        assert page.url == f'{self.site.origin}/bye?y=2', f'the logout ended elsewhere: {page}'
        session = self._session()
        assert not session['authenticated'], session
        self._wait_for(lambda: not self.metadata.get('revocation_endpoint') or self._revocations(held))
        revocations = self._revocations(held)
        self.facts['revocation'] = bool(revocations) and revocations[-1].status == 200
        status, body = self._redeem(held)
        assert status in (400, 401), f'the refresh token outlived the logout: {status}'
        assert not self._is_signed_in_at_the_provider(), 'the provider lets the user in again without a question'
        return None if self.facts['revocation'] else 'its metadata name nothing to revoke with'

    def logout_at_the_provider_reaches_the_gateway(self):
        self.facts['back-channel logout'] = self.provider.backchannel
        if not self.provider.backchannel:
            raise NotApplicable('the provider has no back channel')
        self._sign_in()
        assert self._session()['authenticated']
        self.provider.sign_out(self.browser, self._granted('authorization_code')[-1]['id_token'])
        self._wait_for(lambda: not self._session()['authenticated'])
        session = self._session()
        assert not session['authenticated'] and session['reason'] == 'revoked', session
        assert self._call().status == 401

    def browser_saw_no_token(self):
        """Of what the gateway sent, in any head or body; the ID token goes along as the hint of the logout alone."""
        for name in ('access_token', 'refresh_token'):
            for token in {one[name] for one in self._granted() if name in one}:
                for page in (page for browser in self.browsers for page in browser.pages):
                    if origin_of(page.url) == self.site.origin:
                        assert token not in str(page.headers) + page.text, f'{name} at {page.url.split("?")[0]}'
                assert token not in self.gateway.log(), f'{name} in the log'

    # What they are made of.

    def _sign_in(self, browser=None):
        browser = browser or self.browser
        page = browser.open(f'{self.site.origin}/bff/login?return_to=/start%3Fx%3D1')
        return self.provider.sign_in(browser, page)

    def _is_signed_in_at_the_provider(self):
        page = self.browser.open(f'{self.site.origin}/bff/login?return_to=/')
        return origin_of(page.url) == self.site.origin

    def _session(self):
        answer = self.browser.fetch('GET', f'{self.site.origin}/bff/session')
        assert answer.status == 200, answer
        return json.loads(answer.text)

    def _call(self):
        return self.browser.fetch('GET', f'{self.site.origin}/api/orders')

    def _call_with_a_newer_token_than(self, granted):
        """The call that makes the gateway refresh: after the end of the token, or before it where that would be too late."""
        if self.provider.refresh_token_outlives:
            self._let_it_expire(granted)
            return self._call()
        at = max(one.at for one in self.tap.of(self.metadata['token_endpoint']) if one.json() == granted)
        time.sleep(max(0, at + EARLY * granted['expires_in'] - time.monotonic()))
        self._call()
        self._wait_for(lambda: self._granted()[-1] != granted, seconds=1)
        return self._call()

    def _is_refused(self, answer):
        assert answer.status == 401 and answer.headers['X-BFF-Reason'] == 'refresh_rejected', answer
        session = self._session()
        assert not session['authenticated'] and session['reason'] == 'refresh_rejected', session
        refused = self.tap.of(self.metadata['token_endpoint'], grant_type='refresh_token')[-1]
        self.facts['a dead refresh token'] = refusal(refused.status, refused.json())

    def _log_out(self, return_to):
        url = f'{self.site.origin}/bff/logout?return_to={urllib.parse.quote(return_to)}'
        answer = self.browser.fetch('POST', url)
        assert answer.status == 200, answer
        target = json.loads(answer.text)['logout_url']
        assert target, 'there is no logout URL'
        return self.provider.confirm_logout(self.browser, self.browser.open(target, self.site.origin + '/'))

    def _callbacks(self):
        pages = [page for page in self.browser.pages if page.url.startswith(self.site.redirect_uri)]
        return [page.query() for page in pages]

    def _granted(self, *kinds):
        """What the token endpoint gave the gateway, in order."""
        every = self.tap.of(self.metadata['token_endpoint'])
        fitting = [one for one in every if not kinds or one.form.get('grant_type') in kinds]
        return [one.json() for one in fitting if one.status == 200]

    def _revocations(self, token):
        return [one for one in self.tap.of(self.metadata.get('revocation_endpoint')) if one.form.get('token') == token]

    def _let_it_expire(self, granted):
        time.sleep(granted['expires_in'] + 1)

    def _redeem(self, refresh_token):
        """As the client itself, past the gateway and past the tap."""
        form = {'grant_type': 'refresh_token', 'refresh_token': refresh_token}
        words = [urllib.parse.quote_plus(word) for word in (self.site.client_id, self.site.client_secret)]
        basic = base64.b64encode(':'.join(words).encode()).decode()
        headers = {'Authorization': f'Basic {basic}', 'Content-Type': 'application/x-www-form-urlencoded'}
        own_port = self.provider.url_at_own_port(self.metadata['token_endpoint'])
        page = Browser().fetch('POST', own_port, urllib.parse.urlencode(form), {**headers, **self.provider.host()})
        try:
            return page.status, json.loads(page.text)
        except ValueError:
            return page.status, None

    def _wait_for(self, true, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not true():
            time.sleep(0.05)


def refusal(status, body):
    return f'{status} {body["error"]}' if body else f'{status}, no body'


def payload(token):
    return json.loads(decoded(token.split('.')[1]))


def header(token):
    return json.loads(decoded(token.split('.')[0]))


def decoded(part):
    return base64.urlsafe_b64decode(part + '=' * (-len(part) % 4))


STEPS = [
    Journey.configuration_is_accepted,
    Journey.doctor_finds_nothing_wrong,
    Journey.login_ends_at_the_site,
    Journey.session_names_the_user,
    Journey.api_call_carries_the_bearer,
    Journey.expired_token_is_refreshed,
    Journey.old_refresh_token_is_refused,
    Journey.session_after_the_theft_is_clear,
    Journey.refresh_token_past_its_end_ends_the_session,
    Journey.logout_ends_both_sessions,
    Journey.logout_at_the_provider_reaches_the_gateway,
    Journey.browser_saw_no_token,
]
