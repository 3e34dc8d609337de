// A page that remembers what the helper tells it.

import { createSession } from '/bff/client.js';

const client = createSession();
const changes = [];
client.onChange(({ type, reason, session }) => changes.push({ type, reason, user: session.user?.sub }));
Object.assign(window, { client, changes });
document.documentElement.dataset.ready = 'yes';
