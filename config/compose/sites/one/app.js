// The smallest app that uses every endpoint it may.

const at = (id) => document.getElementById(id);
const other = location.host.startsWith('one.') ? location.host.replace('one.', 'two.') : location.host.replace('two.', 'one.');
at('other-site').href = `${location.protocol}//${other}/`;
at('sign-in').onclick = () => location.assign(`/bff/login?return_to=${encodeURIComponent(location.pathname)}`);
at('call-api').onclick = async () => {
  const answer = await fetch('/api/hello');
  at('api-result').textContent = `${answer.status} ${await answer.text()}`;
};
at('extend').onclick = async () => show(await (await fetch('/bff/session/extend', { method: 'POST' })).json());
at('sign-out').onclick = async () => {
  const { logout_url } = await (await fetch('/bff/logout', { method: 'POST' })).json();
  location.assign(logout_url ?? '/');
};
show(await (await fetch('/bff/session')).json());

function show(session) {
  at('signed-in').hidden = !session.authenticated;
  at('signed-out').hidden = session.authenticated;
  at('user-name').textContent = session.user?.name ?? '';
  at('idle-remaining').textContent = session.idle_expires_in ?? '';
  at('absolute-remaining').textContent = session.absolute_expires_in ?? '';
  at('script-view').textContent = `document.cookie: ${JSON.stringify(document.cookie)}`;
}
