"""`python3 -m driver NAME BINARY TOOLS FOLDER`: one provider's journey, a line for each step; exit 1 if any failed."""

import http.client
import importlib.util
import json
import pathlib
import signal
import sys
import traceback
import urllib.parse

from .gateway import Gateway, Site
from .journey import STEPS, Journey, NotApplicable
from .tap import Tap
from .upstream import Upstream

HERE = pathlib.Path(__file__).resolve().parent.parent


def main(name, binary, tools, folder):
    folder = pathlib.Path(folder)
    provider = load(name)(folder, pathlib.Path(tools))
    site = Site()
    running = [provider]
    try:
        tap = Tap(provider.port, provider.own_port)
        running.append(tap)
        if not step(name, 'provider starts', lambda: provider.start(site)):
            return False
        metadata = discover(provider.issuer)
        upstream = Upstream(metadata['userinfo_endpoint'])
        running.append(upstream)
        gateway = Gateway(binary, folder, site, provider.issuer, provider.configuration, upstream.url)
        running.append(gateway)
        journey = Journey(provider, tap, site, gateway, upstream, metadata)
        # A step needs those before it.
        journeyed = all(step(name, words(one.__name__), lambda one=one: one(journey)) for one in STEPS)
        return journeyed and step(name, 'facts are those written', lambda: compare(provider.facts, journey.facts))
    finally:
        for one in reversed(running):
            one.close() if hasattr(one, 'close') else one.stop()


def load(name):
    file = HERE / name / 'provider.py'
    specification = importlib.util.spec_from_file_location('provider_under_test', file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.THE_PROVIDER


def step(name, what, do):
    try:
        remark = do()
    except NotApplicable as reason:
        print(f'n/a  {name:22} {what} ({reason})', flush=True)
        return True
    except Exception as error:
        print(f'FAIL {name:22} {what}', flush=True)
        traceback.print_exception(error, limit=-4, file=sys.stderr)
        return False
    print(f'PASS {name:22} {what}' + (f' ({remark})' if remark else ''), flush=True)
    return True


def words(name):
    return name.replace('_', ' ').replace('api', 'API')


def compare(written, found):
    for fact in sorted(written.keys() | found.keys()):
        if written.get(fact) != found.get(fact):
            print(f'     {fact}: written {written.get(fact)!r}, found {found.get(fact)!r}')
    assert written == found, 'the provider behaves differently'


def discover(issuer):
    target = urllib.parse.urlsplit(issuer)
    connection = http.client.HTTPConnection('127.0.0.1', target.port, timeout=30)
    path = f'{target.path}/.well-known/openid-configuration'
    connection.request('GET', path, headers={'Host': target.netloc})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, f'{path}: {answer.status} {body[:500]}'
    return json.loads(body)


def stop(*_):
    sys.exit(1)


if __name__ == '__main__':
    # So that `finally` ends what was started.
    signal.signal(signal.SIGTERM, stop)
    sys.exit(0 if main(*sys.argv[1:]) else 1)
