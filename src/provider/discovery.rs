//! Discovery: fetches the provider's metadata and believes it only when it names the configured issuer
//! (OpenID Connect Discovery §4).

use std::sync::Arc;

use serde_json::{Map, Value};
use url::Url;

use super::Unavailable;
use super::back_channel::{BackChannel, check_scheme, printable};
use crate::config::WrittenEndpoints;

/// Where a server is asked for what.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) end_session: Option<Url>,
    pub(super) revocation: Option<Url>,
    /// Where authorization requests are pushed to (RFC 9126 §5).
    pub(super) pushed: Option<Url>,
    /// Whether they must be.
    pub(super) must_push: bool,
}

/// What the gateway uses of the metadata. Made only by [`fetch`], after every check.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) endpoints: Arc<Endpoints>,
    pub(super) jwks_uri: Url,
    pub(super) userinfo: Option<Url>,
    /// Whether every authorization response carries `iss` (RFC 9207 §3).
    pub(super) response_names_issuer: bool,
}

/// Whose metadata are wanted, and for whom.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) issuer: String,
    /// Whether plain HTTP is accepted beyond loopback.
    pub(super) plaintext: bool,
    /// Whether the client shows a certificate of its own.
    pub(super) certificate: bool,
    /// Whether logins need the UserInfo endpoint.
    pub(super) userinfo: bool,
    /// Which it is, where the configuration says so.
    pub(super) userinfo_endpoint: Option<Url>,
    /// What the configuration says of others: it counts for more than the document, and fills in what that lacks.
    pub(super) written: WrittenEndpoints,
}

/// Fetches and checks the metadata that are asked for.
pub(super) async fn fetch(caller: BackChannel, asked: Asked) -> Result<Metadata, Unavailable> {
    let url = document_url(&asked.issuer, asked.plaintext).map_err(Unavailable)?;
    let members = caller.document(&url).await?;
    check(&members, &asked).map_err(|wrong| Unavailable(format!("the provider's metadata: {wrong}")))
}

/// A terminating slash is removed before the well-known path is appended (Discovery §4.1).
fn document_url(issuer: &str, plaintext: bool) -> Result<Url, String> {
    let text = format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
    let url = Url::parse(&text).map_err(|_| "the issuer is not a URL".to_owned())?;
    check_scheme(&url, plaintext).map_err(|wrong| format!("the issuer {wrong}"))?;
    Ok(url)
}

fn check(members: &Map<String, Value>, asked: &Asked) -> Result<Metadata, String> {
    let plaintext = asked.plaintext;
    // Discovery §4.3: identical, byte for byte, or nothing of the document is used.
    if members.get("issuer").and_then(Value::as_str) != Some(&*asked.issuer) {
        return Err("`issuer` is not the configured issuer, byte for byte".to_owned());
    }
    let written = |name: &str| match name {
        "userinfo_endpoint" => asked.userinfo_endpoint.clone(),
        "end_session_endpoint" => asked.written.end_session.clone(),
        "revocation_endpoint" => asked.written.revocation.clone(),
        "pushed_authorization_request_endpoint" => asked.written.pushed.clone(),
        _ => None,
    };
    for name in members.keys().filter(|name| name.ends_with("_endpoint") && written(name).is_none()) {
        endpoint(members, name, plaintext)?;
    }
    if let Some(methods) = members.get("code_challenge_methods_supported")
        && !methods.as_array().is_some_and(|methods| methods.iter().any(|method| method == "S256"))
    {
        return Err("`code_challenge_methods_supported` lacks S256; there is no fallback to plain".to_owned());
    }
    let aliases = aliases(members)?.filter(|_| asked.certificate);
    // What the client calls itself, with its certificate if it has one (RFC 8705 §5).
    let called = |name: &str| match aliases.map(|aliases| endpoint(aliases, name, plaintext)).transpose()?.flatten() {
        Some(alias) => Ok(Some(alias)),
        None => endpoint(members, name, plaintext),
    };
    let missing = |name: &str| format!("`{name}` is missing");
    let required = |name: &str| endpoint(members, name, plaintext)?.ok_or_else(|| missing(name));
    // What the document says of these is not even looked at.
    let or_written = |name: &str| written(name).map_or_else(|| called(name), |url| Ok(Some(url)));
    let userinfo = or_written("userinfo_endpoint")?;
    if asked.userinfo && userinfo.is_none() {
        return Err("`userinfo_endpoint` is missing, and `userinfo` asks for it".to_owned());
    }
    Ok(Metadata {
        userinfo,
        endpoints: Arc::new(Endpoints {
            authorization: required("authorization_endpoint")?,
            token: called("token_endpoint")?.ok_or_else(|| missing("token_endpoint"))?,
            end_session: written("end_session_endpoint")
                .map_or_else(|| endpoint(members, "end_session_endpoint", plaintext), |url| Ok(Some(url)))?,
            revocation: or_written("revocation_endpoint")?,
            pushed: or_written("pushed_authorization_request_endpoint")?,
            must_push: flag(members, "require_pushed_authorization_requests")?,
        }),
        jwks_uri: required("jwks_uri")?,
        response_names_issuer: flag(members, "authorization_response_iss_parameter_supported")?,
    })
}

fn flag(members: &Map<String, Value>, name: &str) -> Result<bool, String> {
    match members.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(format!("`{name}` is not a boolean")),
    }
}

fn aliases(members: &Map<String, Value>) -> Result<Option<&Map<String, Value>>, String> {
    match members.get("mtls_endpoint_aliases") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(aliases)) => Ok(Some(aliases)),
        Some(_) => Err("`mtls_endpoint_aliases` is not an object".to_owned()),
    }
}

/// An endpoint that is there must be usable: a URL over TLS and without fragment (RFC 6749 §3.1, §3.2).
fn endpoint(members: &Map<String, Value>, name: &str, plaintext: bool) -> Result<Option<Url>, String> {
    let value = members.get(name);
    let name = printable(name);
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(format!("`{name}` is not a string")),
    };
    let url = Url::parse(text).map_err(|_| format!("`{name}` is not a URL"))?;
    check_scheme(&url, plaintext).map_err(|wrong| format!("`{name}` {wrong}"))?;
    if url.fragment().is_some() {
        return Err(format!("`{name}` has a fragment"));
    }
    Ok(Some(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_path_follows_the_issuer_without_its_terminating_slash() {
        for (issuer, url) in [
            ("https://id.example", "https://id.example/.well-known/openid-configuration"),
            ("https://id.example/", "https://id.example/.well-known/openid-configuration"),
            ("https://id.example/realms/a", "https://id.example/realms/a/.well-known/openid-configuration"),
            ("https://id.example/realms/a/", "https://id.example/realms/a/.well-known/openid-configuration"),
        ] {
            assert_eq!(document_url(issuer, false).unwrap().as_str(), url);
        }
    }

    #[test]
    fn plain_http_is_for_loopback_or_by_configuration() {
        assert!(document_url("http://id.example", false).is_err());
        assert!(document_url("http://id.example", true).is_ok());
        assert!(document_url("http://127.0.0.1:9000", false).is_ok());
        assert!(document_url("http://[::1]:9000", false).is_ok());
        assert!(document_url("ftp://127.0.0.1", true).is_err());
        assert!(document_url("https://user@id.example", true).is_err());
    }

    #[test]
    fn a_written_endpoint_takes_the_place_of_one_that_cannot_be_used() {
        let url = |name: &str| Url::parse(&format!("https://id.example/written-{name}")).unwrap();
        let all = || Asked {
            issuer: "https://id.example".to_owned(),
            plaintext: false,
            certificate: true,
            userinfo: true,
            userinfo_endpoint: Some(url("userinfo")),
            written: WrittenEndpoints {
                revocation: Some(url("revocation")),
                end_session: Some(url("end-session")),
                pushed: Some(url("pushed")),
            },
        };
        let document = |name: &str, in_aliases: bool| {
            let bad = serde_json::json!("http://id.example/in-the-clear");
            let mut document = serde_json::json!({
                "issuer": "https://id.example", "authorization_endpoint": "https://id.example/authorize",
                "token_endpoint": "https://id.example/token", "jwks_uri": "https://id.example/keys",
                "mtls_endpoint_aliases": {},
            });
            let place = if in_aliases { &mut document["mtls_endpoint_aliases"] } else { &mut document };
            place[name] = bad;
            document.as_object().unwrap().clone()
        };
        type Forget = fn(&mut Asked);
        let forget: [(&str, Forget); 4] = [
            ("userinfo_endpoint", |asked| asked.userinfo_endpoint = None),
            ("revocation_endpoint", |asked| asked.written.revocation = None),
            ("end_session_endpoint", |asked| asked.written.end_session = None),
            ("pushed_authorization_request_endpoint", |asked| asked.written.pushed = None),
        ];
        for (name, forget) in forget {
            for in_aliases in [false, true] {
                let document = document(name, in_aliases);
                let metadata = check(&document, &all()).unwrap();
                assert_eq!(metadata.userinfo, Some(url("userinfo")));
                assert_eq!(metadata.endpoints.revocation, Some(url("revocation")));
                assert_eq!(metadata.endpoints.end_session, Some(url("end-session")));
                assert_eq!(metadata.endpoints.pushed, Some(url("pushed")));
                let mut asked = all();
                forget(&mut asked);
                let is_used = !in_aliases || name != "end_session_endpoint";
                assert_eq!(check(&document, &asked).is_err(), is_used, "{name}");
            }
        }
        assert!(check(&document("token_endpoint", false), &all()).is_err());
    }
}
