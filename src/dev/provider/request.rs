//! The authorization request, judged: who asks, where the answer goes, and whether everything a careful client sends is there.

use super::Client;
use super::answer::{Mode, Way};
use super::audience;
use super::parameters::Parameters;
use super::profile::{AuthorizationRules, OtherScopes};
use super::shared::Shared;

/// An authorization request that may be answered with a code.
#[derive(Clone, Debug)]
pub(super) struct AuthorizationRequest {
    pub(super) client: Client,
    /// How the answer comes back.
    pub(super) way: Way,
    pub(super) state: String,
    pub(super) nonce: Option<String>,
    /// The S256 challenge (RFC 7636 §4.2).
    pub(super) challenge: Option<String>,
    pub(super) scope: String,
    pub(super) prompt: Prompt,
    /// Seconds since the user last signed in.
    pub(super) max_age: Option<u64>,
    pub(super) login_hint: Option<String>,
    /// Whether the access token is to be one for the API.
    pub(super) for_api: bool,
    /// Whether `prompt=consent` was said.
    pub(super) consent: bool,
    /// Whether `access_type=offline` was said.
    pub(super) offline: bool,
}

/// What the client wants the user to see (OpenID Connect Core §3.1.2.1). Consent is given in advance here, so
/// `prompt=consent` asks for nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// A page only if nobody is signed in.
    IfNeeded,
    /// No page at all.
    None,
    /// The user picker, even if someone is signed in.
    Picker,
}

/// A request that gets no code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// The client or where to answer is not known for sure: nothing may be redirected (RFC 6749 §4.1.2.1).
    Page(String),
    /// The client is told.
    Redirect { way: Way, state: Option<String>, error: &'static str, description: String },
}

impl AuthorizationRequest {
    /// Reads and judges; a rejection is remembered as a complaint about the client.
    pub(super) fn read(shared: &Shared, parameters: &Parameters) -> Result<Self, Rejected> {
        Self::judge(shared, parameters).inspect_err(|rejected| {
            let client = parameters.one("client_id").ok().flatten().unwrap_or("unknown client");
            match rejected {
                Rejected::Page(what) => shared.complain(client, what),
                Rejected::Redirect { error, description, .. } => {
                    shared.complain(client, &format!("{error}: {description}"));
                }
            }
        })
    }

    /// Whether `scope` is one of those that it asks for.
    pub(super) fn wants(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|one| one == scope)
    }

    fn judge(shared: &Shared, parameters: &Parameters) -> Result<Self, Rejected> {
        let (client, redirect_uri) = addressee(shared, parameters).map_err(|what| Rejected::Page(what.to_owned()))?;
        let rules = &shared.profile.authorization;
        // What cannot be answered as it asks is answered in the plainest way.
        let mode = parameters.one("response_mode").ok().flatten().map_or(Ok(Mode::QUERY), |name| mode(rules, name));
        let way = Way { redirect_uri, mode: mode.clone().unwrap_or(Mode::QUERY), client_id: client.id.clone() };
        let rejected = |(error, description): (&'static str, String)| Rejected::Redirect {
            way: way.clone(),
            state: parameters.one("state").ok().flatten().map(str::to_owned),
            error,
            description,
        };
        if let Some(name) = parameters.repeated() {
            return Err(rejected(("invalid_request", format!("{name} is there more than once"))));
        }
        let get = |name| parameters.one(name).ok().flatten();
        mode.map_err(rejected)?;
        response_kind(&get).map_err(rejected)?;
        let state = unguessable("state", get("state")).map_err(rejected)?;
        let nonce = rules.openid.then(|| unguessable("nonce", get("nonce"))).transpose().map_err(rejected)?;
        let scope = scope(rules, get("scope")).map_err(rejected)?;
        Ok(Self {
            state,
            nonce,
            challenge: challenge(rules, &get).map_err(rejected)?,
            for_api: audience::for_api(rules.api, &scope, &get).map_err(rejected)?,
            consent: get("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "consent")),
            offline: get("access_type") == Some("offline"),
            scope,
            prompt: prompt(get("prompt")).map_err(rejected)?,
            max_age: max_age(get("max_age")).map_err(rejected)?,
            login_hint: get("login_hint").map(str::to_owned),
            client,
            way,
        })
    }
}

/// An error code of RFC 6749 §4.1.2.1, and what is wrong.
pub(super) type Wrong = (&'static str, String);

fn invalid(description: impl Into<String>) -> Wrong {
    ("invalid_request", description.into())
}

fn addressee(shared: &Shared, parameters: &Parameters) -> Result<(Client, String), &'static str> {
    let id = parameters.one("client_id").map_err(|_| "client_id is there more than once")?;
    let client = shared.client(id.ok_or("client_id is missing")?).ok_or("no such client is registered")?;
    let uri = parameters.one("redirect_uri").map_err(|_| "redirect_uri is there more than once")?;
    let uri = uri.ok_or("redirect_uri is missing")?;
    if !client.redirect_uris.iter().any(|registered| registered == uri) {
        return Err("redirect_uri is not one that the client registered");
    }
    Ok((client, uri.to_owned()))
}

/// The mode of this name, if the provider has it.
fn mode(rules: &AuthorizationRules, name: &str) -> Result<Mode, Wrong> {
    let known = rules.modes.contains(&name).then(|| Mode::named(name)).flatten();
    known.ok_or_else(|| invalid(format!("response_mode={name} is not supported, only {}", rules.modes.join(", "))))
}

fn response_kind<'a>(get: &impl Fn(&'static str) -> Option<&'a str>) -> Result<(), Wrong> {
    match get("response_type") {
        Some("code") => {}
        None => return Err(invalid("response_type is missing")),
        Some(other) => return Err(("unsupported_response_type", format!("only code is supported, not {other}"))),
    }
    if get("request").is_some() {
        return Err(("request_not_supported", "request objects are not supported".to_owned()));
    }
    if get("request_uri").is_some() {
        return Err(("request_uri_not_supported", "request_uri is not supported".to_owned()));
    }
    Ok(())
}

/// 128 bits of base64url are 22 characters; anything shorter is guessable (RFC 9700 §4.7.1, §4.5.3).
fn unguessable(name: &str, value: Option<&str>) -> Result<String, Wrong> {
    match value {
        None => Err(invalid(format!("{name} is missing"))),
        Some(value) if value.len() < 22 => Err(invalid(format!("{name} is too short to be unguessable"))),
        Some(value) => Ok(value.to_owned()),
    }
}

/// A SHA-256 in base64url without padding is 43 characters (RFC 7636 §4.2).
fn challenge<'a>(
    rules: &AuthorizationRules,
    get: &impl Fn(&'static str) -> Option<&'a str>,
) -> Result<Option<String>, Wrong> {
    if rules.pkce_optional && get("code_challenge").is_none() {
        return Ok(None);
    }
    let challenge = get("code_challenge").ok_or_else(|| invalid("code_challenge is missing: PKCE is mandatory"))?;
    if get("code_challenge_method") != Some("S256") {
        return Err(invalid("code_challenge_method must be S256"));
    }
    let base64url = challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if challenge.len() != 43 || !base64url {
        return Err(invalid("code_challenge is not a SHA-256 in base64url"));
    }
    Ok(Some(challenge.to_owned()))
}

fn scope(rules: &AuthorizationRules, scope: Option<&str>) -> Result<String, Wrong> {
    let wanted = scope.or_else(|| Some("").filter(|_| !rules.openid));
    let wanted = wanted.ok_or_else(|| ("invalid_scope", "scope is missing".to_owned()))?;
    let (known, unknown): (Vec<&str>, Vec<&str>) =
        wanted.split(' ').filter(|one| !one.is_empty()).partition(|one| rules.scopes.contains(one));
    if let (OtherScopes::Refused, Some(unknown)) = (rules.other_scopes, unknown.first()) {
        return Err(("invalid_scope", format!("the scope {unknown:?} is not known")));
    }
    let scope = known.join(" ");
    if rules.openid && !scope.split(' ').any(|one| one == "openid") {
        return Err(("invalid_scope", "scope must contain openid".to_owned()));
    }
    Ok(scope)
}

fn prompt(prompt: Option<&str>) -> Result<Prompt, Wrong> {
    let words: Vec<&str> = prompt.unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
    if let Some(unknown) = words.iter().find(|word| !super::discovery::PROMPTS.contains(word)) {
        return Err(invalid(format!("the prompt {unknown:?} is not known")));
    }
    match words.as_slice() {
        ["none"] => Ok(Prompt::None),
        words if words.contains(&"none") => Err(invalid("prompt=none stands alone")),
        words if words.contains(&"login") || words.contains(&"select_account") => Ok(Prompt::Picker),
        _ => Ok(Prompt::IfNeeded),
    }
}

fn max_age(value: Option<&str>) -> Result<Option<u64>, Wrong> {
    value.map(|text| text.parse().map_err(|_| invalid("max_age is not a number of seconds"))).transpose()
}
