//! The certified npm package `oidc-provider` as a process; see `tests/oidc-provider/server.mjs`.

use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Process, Request, root, send, try_within};

/// How long Node may take to start it.
const START: Duration = Duration::from_secs(10);

/// A running provider.
pub struct OidcProvider {
    pub port: u16,
    pub process: Mutex<Process>,
}

impl OidcProvider {
    /// The one provider that all tests share, each with clients of its own. It ends when this process does, because its
    /// standard input is closed then.
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<OidcProvider>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| Arc::new(Self::start(0))))
    }

    /// A provider of this test alone, for tests that stop it or break more than their own client; 0 is any port.
    pub fn start(port: u16) -> Self {
        Self::start_with(&json!({ "port": port }))
    }

    /// The same with the options of `server.mjs`.
    pub fn start_with(options: &Value) -> Self {
        let dir = root().join("tests/oidc-provider");
        assert!(
            dir.join("node_modules").is_dir(),
            "the provider is not installed; run tests/run, or npm ci in {}",
            dir.display()
        );
        // Now and then, rarely, Node stands still before it listens; the next one does not.
        let (process, ready) = (0..3)
            .find_map(|_| {
                let process = Process::start(
                    Command::new("node").current_dir(&dir).args(["server.mjs", &options.to_string()]),
                    "apt-get install nodejs npm",
                );
                let ready = try_within(START, || process.stdout().lines().next().map(str::to_owned))?;
                Some((process, ready))
            })
            .expect("the provider should start");
        let ready: Value = serde_json::from_str(&ready).expect("the provider prints JSON when it is ready");
        let port =
            ready["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("the provider prints its port");
        Self { port, process: Mutex::new(process) }
    }

    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Registers a client; `test` holds `access_ttl`, `jwt` and `offline`.
    pub fn register(&self, client: &Value) {
        self.order("client", client);
    }

    /// Everything this client did so far.
    pub fn ledger(&self, client_id: &str) -> Value {
        self.order("ledger", &json!({ "client_id": client_id }))
    }

    /// How often the token endpoint was asked for a `grant_type`, or in all with `""`.
    pub fn token_calls(&self, client_id: &str, grant_type: &str) -> u64 {
        let ledger = self.ledger(client_id);
        let count = if grant_type.is_empty() { &ledger["calls"]["/token"] } else { &ledger["grants"][grant_type] };
        count.as_u64().unwrap_or(0)
    }

    /// Every token, code and verifier that passed between this client and the provider, by name and value.
    pub fn issued(&self, client_id: &str) -> Vec<(String, String)> {
        let ledger = self.ledger(client_id);
        let issued = ledger["issued"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        issued.iter().map(|one| (text(&one["name"]), text(&one["value"]))).collect()
    }

    /// The latest token of a kind.
    pub fn latest(&self, client_id: &str, name: &str) -> String {
        let issued = self.issued(client_id);
        issued.into_iter().rev().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name} was issued")).1
    }

    /// How often the token endpoint was asked at all, counted when a call arrives and not when it is answered.
    pub fn token_arrivals(&self, client_id: &str) -> usize {
        self.token_arrival_times(client_id).len()
    }

    /// When the token endpoint was asked, in milliseconds of the wall clock.
    pub fn token_arrival_times(&self, client_id: &str) -> Vec<u64> {
        let ledger = self.ledger(client_id);
        let times = ledger["at"]["/token"].as_array().cloned().unwrap_or_default();
        times.iter().filter_map(Value::as_u64).collect()
    }

    /// Every token that this client gave back.
    pub fn revoked(&self, client_id: &str) -> Vec<String> {
        let ledger = self.ledger(client_id);
        let tokens = ledger["revoked"].as_array().cloned().unwrap_or_default();
        tokens.iter().filter_map(|token| token.as_str().map(str::to_owned)).collect()
    }

    /// Orders a fault: `{"client_id", "path", "status", "body", "delay_ms", "late_ms", "drop", "lose_answer", "times"}`. The
    /// latest one ordered comes first; `delay_ms` is before the work is done, `late_ms` after it.
    pub fn fault(&self, fault: &Value) {
        self.order("fault", fault);
    }

    /// Takes back the faults of one client, or the general ones.
    pub fn heal(&self, client_id: Option<&str>) {
        self.order("heal", &client_id.map_or(json!({}), |id| json!({ "client_id": id })));
    }

    /// Revokes what `user` granted to anyone. Only for a provider of one's own.
    pub fn revoke_grants(&self, user: &str) {
        self.order("revoke-grants", &json!({ "user": user }));
    }

    /// A JWT with the provider's signature and `kid`, whatever it says.
    pub fn sign(&self, typ: &str, claims: &Value) -> String {
        let signed = self.order("sign", &json!({ "typ": typ, "claims": claims }));
        signed["token"].as_str().expect("a token").to_owned()
    }

    /// Signs with a fresh key from now on. Only for a provider of one's own.
    pub fn rotate_keys(&self) {
        self.order("rotate-keys", &json!({}));
    }

    pub fn kill(&self) {
        self.process.lock().expect("nobody panics with the process").kill();
    }

    fn order(&self, what: &str, order: &Value) -> Value {
        let request =
            Request::new("POST", &format!("/__test/{what}")).header("host", "127.0.0.1").body(order.to_string());
        let answer = send(self.port, &request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}
