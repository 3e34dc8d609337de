// What the provider remembers: one map for every model, so that a provider rebuilt with other keys keeps its users.

const entries = new Map();
const byUid = new Map();
const grants = new Map();

/** Clients by id: the metadata the provider sees, and what the tests want of them. */
export const clients = new Map();

export function forgetGrants(accountId) {
  for (const [key, entry] of entries) {
    const payload = entry.payload;
    if (key.startsWith('Grant:') && (accountId === undefined || payload.accountId === accountId)) {
      entries.delete(key);
      revoke(payload.jti);
    }
  }
}

function revoke(grantId) {
  for (const key of grants.get(grantId) ?? []) entries.delete(key);
  grants.delete(grantId);
}

export class Memory {
  constructor(model) {
    this.model = model;
  }

  async upsert(id, payload, expiresIn) {
    const key = `${this.model}:${id}`;
    entries.set(key, { payload, until: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
    if (this.model === 'Session') byUid.set(payload.uid, id);
    if (payload.grantId) {
      if (!grants.has(payload.grantId)) grants.set(payload.grantId, new Set());
      grants.get(payload.grantId).add(key);
    }
  }

  async find(id) {
    if (this.model === 'Client') return clients.get(id)?.metadata;
    const entry = entries.get(`${this.model}:${id}`);
    return entry && entry.until > Date.now() ? entry.payload : undefined;
  }

  async findByUid(uid) {
    return this.find(byUid.get(uid));
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    entries.get(`${this.model}:${id}`).payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    entries.delete(`${this.model}:${id}`);
  }

  async revokeByGrantId(grantId) {
    revoke(grantId);
  }
}
