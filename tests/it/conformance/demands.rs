//! What FAPI 2.0 demands of a client beyond the code flow, judged by hands of its own: assertions (RFC 7523, RFC 10070), pushed
//! requests (RFC 9126), and proofs of possession (RFC 9449).

use std::collections::{HashMap, HashSet};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::suite::now;
use crate::provider_client::signing::b64;
use crate::support::{Recorded, Reply, fresh_key};

type Form = HashMap<String, String>;

/// What a provider demands of one client, and has seen of it.
pub struct Demands {
    /// The public half of the client's P-256 key, as a point.
    client_key: Vec<u8>,
    /// What a proof must carry, if anything.
    pub nonce: Option<&'static str>,
    /// What was pushed, by its handle.
    pushed: HashMap<String, Form>,
    /// The `jti` of everything the client signed.
    seen: HashSet<String>,
}

impl Demands {
    /// Of a client that signs with this key in PEM.
    pub fn of(public_key: &str) -> Self {
        let base64: String = public_key.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(base64).expect("PEM is base64");
        // RFC 5480 §2.2: the point is the end of it.
        let client_key = der[der.len() - 65..].to_vec();
        Self { client_key, nonce: None, pushed: HashMap::new(), seen: HashSet::new() }
    }

    /// Takes a pushed request, for a handle that is good once.
    pub fn push(&mut self, issuer: &str, form: Form) -> Result<String, String> {
        self.client(issuer, &form)?;
        let handle = format!("urn:ietf:params:oauth:request_uri:{}", fresh_key());
        self.pushed.insert(handle.clone(), form);
        Ok(handle)
    }

    /// What was pushed under the handle in `asked`, beside which nothing but the client stands.
    pub fn unpack(&mut self, asked: &Form) -> Result<Form, String> {
        let handle = asked.get("request_uri").ok_or("the request is not pushed")?;
        if asked.len() != 2 || !asked.contains_key("client_id") {
            return Err("something else goes through the browser".to_owned());
        }
        self.pushed.remove(handle).ok_or_else(|| "the handle is none, or used up".to_owned())
    }

    /// Judges a token request; a refusal, where the proof lacks the nonce that is demanded.
    pub fn judge(&mut self, issuer: &str, request: &Recorded, form: &Form) -> Result<Option<Reply>, String> {
        self.client(issuer, form)?;
        let proof = proof(request, &format!("{issuer}/token"))?;
        self.once(&proof["jti"])?;
        match self.nonce {
            Some(nonce) if proof["nonce"] != nonce => {
                let body = json!({ "error": "use_dpop_nonce" }).to_string();
                let headers = format!("content-type: application/json\r\ndpop-nonce: {nonce}\r\n");
                Ok(Some(Reply::with("400 Bad Request", &headers, &body)))
            }
            _ => Ok(None),
        }
    }

    /// RFC 10070 §4: the issuer is the only audience, the assertion good once and for a minute.
    fn client(&mut self, issuer: &str, form: &Form) -> Result<(), String> {
        let kind = form.get("client_assertion_type").map(String::as_str);
        if kind != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") || form.contains_key("client_secret")
        {
            return Err("the client does not prove itself by an assertion alone".to_owned());
        }
        let assertion = form.get("client_assertion").ok_or("there is no assertion")?;
        let (header, claims) = opened(assertion, |_| self.client_key.clone())?;
        let client = form.get("client_id").cloned().unwrap_or_default();
        let (iat, exp) = (claims["iat"].as_u64().unwrap_or(0), claims["exp"].as_u64().unwrap_or(u64::MAX));
        for (is_right, rule) in [
            (header["typ"] == "client-authentication+jwt", "an assertion says what it is"),
            (claims["iss"] == *client && claims["sub"] == *client, "an assertion is the client's about itself"),
            (claims["aud"] == *issuer, "an assertion is for the issuer alone"),
            (iat <= now() + 1 && exp <= iat + 60 && exp >= now(), "an assertion is good for a minute"),
        ] {
            if !is_right {
                return Err(rule.to_owned());
            }
        }
        self.once(&claims["jti"])
    }

    fn once(&mut self, jti: &Value) -> Result<(), String> {
        let jti = jti.as_str().filter(|jti| jti.len() >= 16).ok_or("a `jti` is unguessable")?;
        if self.seen.insert(jti.to_owned()) { Ok(()) } else { Err("a `jti` is used once".to_owned()) }
    }
}

/// The claims of the proof in `request`, which was made for `url` (RFC 9449 §4.3), with the key's thumbprint as `jkt`.
pub fn proof(request: &Recorded, url: &str) -> Result<Value, String> {
    let [proof] = request.all("dpop")[..] else { return Err("there is one proof".to_owned()) };
    let (header, mut claims) = opened(proof, |header| {
        let half = |name: &str| URL_SAFE_NO_PAD.decode(header["jwk"][name].as_str().unwrap_or_default());
        [vec![4], half("x").unwrap_or_default(), half("y").unwrap_or_default()].concat()
    })?;
    for (is_right, rule) in [
        (header["typ"] == "dpop+jwt" && header["jwk"].get("d").is_none(), "a proof shows a public key"),
        (claims["htm"] == *request.method && claims["htu"] == *url, "a proof is for one request"),
        (claims["iat"].as_u64().is_some_and(|iat| iat.abs_diff(now()) <= 5), "a proof is fresh"),
    ] {
        if !is_right {
            return Err(rule.to_owned());
        }
    }
    let jwk = &header["jwk"];
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    claims["jkt"] = b64(digest(&SHA256, text.as_bytes())).into();
    Ok(claims)
}

/// Header and claims of a token that is signed by ES256 and the key that `point` finds.
fn opened(token: &str, point: impl FnOnce(&Value) -> Vec<u8>) -> Result<(Value, Value), String> {
    let not = || "a token is a JWS".to_owned();
    let (message, signature) = token.rsplit_once('.').ok_or_else(not)?;
    let (header, claims) = message.split_once('.').ok_or_else(not)?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| not());
    let read = |part| serde_json::from_slice::<Value>(&decoded(part)?).map_err(|_| not());
    let (header, claims) = (read(header)?, read(claims)?);
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(&header));
    let verified = key.verify(message.as_bytes(), &decoded(signature)?);
    verified.map_err(|_| "a token is signed by its key".to_owned())?;
    Ok((header, claims))
}
