//! Tells applications that somebody was logged out here (OpenID Connect Back-Channel Logout 1.0).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};
use url::{Host, Url};

use super::Client;
use super::profile::BackChannelRules;
use super::shared::Shared;
use super::state::Authentication;
use crate::secret::random_base64url;

/// How long an application may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose logout applications are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// One browser's.
    Session(Authentication),
    /// All of one person's.
    Person(Authentication),
}

impl Whose {
    fn covers(&self, one: &Authentication) -> bool {
        match self {
            Self::Session(whose) => whose.sid == one.sid,
            Self::Person(whose) => whose.user == one.user,
        }
    }
}

/// Ends the logins and the browser sessions that are meant, and tells every application that had one; what each of them
/// answered, in words.
pub(super) async fn log_out(shared: &Shared, whose: &Whose) -> Vec<String> {
    let tokens = end(shared, whose);
    let mut told = Vec::new();
    for (client, claims) in tokens {
        let Some(uri) = &client.backchannel_logout_uri else { continue };
        let token = shared.keys.sign("logout+jwt", &claims);
        let outcome = match send(uri, &token).await {
            Ok(status) if (200..300).contains(&status) => format!("accepted it ({status})"),
            Ok(status) => format!("refused it ({status})"),
            Err(error) => format!("could not be told: {error}"),
        };
        told.push(format!("{} {outcome}", client.name));
    }
    told
}

/// Ends what is meant; one logout token for each client that had a login.
fn end(shared: &Shared, whose: &Whose) -> Vec<(Client, Value)> {
    let now = shared.now();
    let mut state = shared.state();
    let meant = state.families.iter(now).filter(|(_, login)| whose.covers(&login.grant.authentication));
    let meant: Vec<String> = meant.map(|(id, _)| id.to_owned()).collect();
    let ended: Vec<_> = meant.iter().filter_map(|id| shared.end_login(&mut state, id)).collect();
    state.sso.retain(|signed_in| !whose.covers(signed_in));
    drop(state);
    let mut clients: Vec<String> = ended.into_iter().map(|login| login.grant.client_id).collect();
    clients.sort();
    clients.dedup();
    let clients = clients.iter().filter_map(|id| shared.client(id));
    let Some(rules) = shared.profile.back_channel else { return Vec::new() };
    clients.map(|client| (client.clone(), claims(shared, rules, &client, whose))).collect()
}

fn claims(shared: &Shared, rules: BackChannelRules, client: &Client, whose: &Whose) -> Value {
    let (Whose::Session(who) | Whose::Person(who)) = whose;
    let now = shared.now().as_secs();
    let mut claims = json!({
        "iss": shared.issuer,
        "aud": client.id,
        "iat": now,
        "jti": random_base64url(),
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    if rules.expires {
        claims["exp"] = (now + 120).into();
    }
    if matches!(whose, Whose::Session(_)) || rules.always_session {
        claims["sid"] = who.sid.as_str().into();
    }
    if let (Whose::Person(_), Some(user)) = (whose, shared.user(&who.user)) {
        claims["sub"] = shared.subject(user).into();
    }
    claims
}

/// The status that `uri` answers. Only this machine is called; names below `localhost` are not looked up (RFC 6761 §6.3).
async fn send(uri: &str, token: &str) -> Result<u16, String> {
    let url = Url::parse(uri).map_err(|error| error.to_string())?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) if name == "localhost" || name.ends_with(".localhost") => Ipv4Addr::LOCALHOST.into(),
        Some(Host::Ipv4(address)) if address.is_loopback() => IpAddr::from(address),
        Some(Host::Ipv6(address)) if address.is_loopback() => IpAddr::from(address),
        _ => return Err("its address is not on this machine".to_owned()),
    };
    let mut http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    if let (Some(name), Some(port)) = (url.domain(), url.port_or_known_default()) {
        http = http.resolve(name, SocketAddr::new(loopback, port));
    }
    let http = http.build().map_err(|error| error.to_string())?;
    let answer = http.post(url).form(&[("logout_token", token)]).send().await;
    answer.map(|answer| answer.status().as_u16()).map_err(|error| error.without_url().to_string())
}
