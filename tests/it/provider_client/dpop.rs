//! Tokens bound to a key at the provider: what every proof says, and what becomes of nonces and of bearer tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::provider::{Attempt, Grant, LoginHints, Provider, RedeemError, Refreshed, Renewal};
use cloakroom::secret::{AccessToken, AuthorizationCode, DpopKey, RefreshToken, State};
use serde_json::{Value, json};

use super::hostile::{Hostile, PATIENCE, Reply, Request, attempt, client_of, oidc_of};

/// A provider whose token endpoint gives bound tokens, and a client that wants them.
async fn stage() -> (Hostile, Provider) {
    let op = Hostile::start().await;
    let endpoint = format!("{}/userinfo", op.issuer());
    op.metadata(|metadata| metadata["userinfo_endpoint"] = endpoint.into());
    give(&op, "DPoP");
    let client = op.client_with(|config| client_of(config).requests.dpop = true);
    (op, client)
}

fn give(op: &Hostile, token_type: &str) {
    let mut answer = Hostile::answer(&op.id_token(|_| {}));
    answer["token_type"] = token_type.into();
    op.set("/token", Reply::json(200, &answer));
}

fn bound(client: &Provider) -> Attempt {
    Attempt { dpop_key: client.new_dpop_key(), ..attempt() }
}

async fn redeem(client: &Provider) -> Result<Grant, RedeemError> {
    client.redeem(&AuthorizationCode::new(State::random().expose()), &bound(client)).await
}

async fn refresh(client: &Provider, key: Option<&DpopKey>) -> Refreshed {
    let refresh_token = RefreshToken::new("rt-0");
    client
        .refresh(&Renewal {
            refresh_token: &refresh_token,
            subject: "alice",
            scope: None,
            dpop_key: key,
            patience: PATIENCE,
        })
        .await
}

/// Header and claims of the one proof in a request.
fn proof(request: &Request) -> (Value, Value) {
    let parts: Vec<&str> = request.header("dpop").expect("a proof").split('.').collect();
    assert_eq!(request.headers.iter().filter(|(name, _)| name == "dpop").count(), 1);
    let part = |index: usize| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[index]).unwrap()).unwrap();
    (part(0), part(1))
}

fn wish(nonce: &str) -> Reply {
    let reply = Reply::json(400, &json!({ "error": "use_dpop_nonce" }));
    Reply { headers: format!("{}DPoP-Nonce: {nonce}\r\n", reply.headers), ..reply }
}

#[tokio::test]
async fn every_token_request_of_a_session_is_proven_by_its_one_key() {
    let (op, client) = stage().await;
    op.set("/revoke", Reply::raw(200, ""));
    let attempt = bound(&client);
    let key = attempt.dpop_key.as_ref();
    let url = client.authorization_url(&attempt, &LoginHints::default()).await.unwrap();
    let thumbprint =
        url.query_pairs().find(|(name, _)| name == "dpop_jkt").expect("the code is bound, too").1.into_owned();
    client.redeem(&AuthorizationCode::new("c-1"), &attempt).await.unwrap();
    assert!(matches!(refresh(&client, key).await, Refreshed::Tokens(_) | Refreshed::Rejected(_)));
    client.give_back(&AccessToken::new("at-1"), Some(&RefreshToken::new("rt-1")), key).await.unwrap();
    let requests = [op.requests("/token"), op.requests("/revoke")].concat();
    let proofs: Vec<_> = requests.iter().map(proof).collect();
    assert_eq!(proofs.len(), 3);
    for ((header, claims), path) in proofs.iter().zip(["/token", "/token", "/revoke"]) {
        assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
        assert_eq!(header["jwk"], proofs[0].0["jwk"]);
        assert!(header["jwk"].get("d").is_none());
        assert_eq!((&claims["htm"], &claims["htu"]), (&json!("POST"), &json!(format!("{}{path}", op.issuer()))));
        assert!(claims.get("ath").is_none() && claims.get("nonce").is_none());
    }
    assert_ne!(proofs[0].1["jti"], proofs[1].1["jti"]);
    let jwk = &proofs[0].0["jwk"];
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    assert_eq!(thumbprint, URL_SAFE_NO_PAD.encode(digest));
    assert!(client.new_dpop_key() != attempt.dpop_key, "each session has a key of its own");
}

#[tokio::test]
async fn a_bearer_token_where_a_bound_one_was_asked_for_is_thrown_away_and_the_other_way_round() {
    let (op, client) = stage().await;
    op.set("/revoke", Reply::raw(200, ""));
    for other in ["Bearer", "mac", ""] {
        give(&op, other);
        let error = redeem(&client).await.unwrap_err();
        assert!(matches!(&error, RedeemError::Invalid(why) if why.contains("`token_type` is not DPoP")), "{error}");
        assert!(matches!(refresh(&client, client.new_dpop_key().as_ref()).await, Refreshed::Unavailable(_)));
    }
    give(&op, "dpop");
    redeem(&client).await.expect("in any case");
    let error = op.client().redeem(&AuthorizationCode::new("c"), &attempt()).await.unwrap_err();
    assert!(error.to_string().contains("`token_type` is not Bearer"), "{error}");
}

#[tokio::test]
async fn a_session_from_before_keeps_its_bearer_tokens() {
    let (op, client) = stage().await;
    give(&op, "Bearer");
    op.set("/token", Reply::json(200, &json!({ "access_token": "at-2", "token_type": "Bearer" })));
    assert!(matches!(refresh(&client, None).await, Refreshed::Tokens(_)));
    assert!(op.requests("/token")[0].header("dpop").is_none());
}

#[tokio::test]
async fn an_endless_wish_for_nonces_is_heard_once() {
    let (op, client) = stage().await;
    op.set("/token", wish("n-1"));
    let key = client.new_dpop_key();
    let refreshed = refresh(&client, key.as_ref()).await;
    assert!(matches!(&refreshed, Refreshed::Misconfigured(why) if why == "use_dpop_nonce"), "{refreshed:?}");
    let requests = op.requests("/token");
    assert_eq!(requests.len(), 2, "asked, and asked once more");
    let (first, second) = (proof(&requests[0]).1, proof(&requests[1]).1);
    assert!(first.get("nonce").is_none() && second["nonce"] == "n-1" && first["jti"] != second["jti"]);
    // What is known is said at once from then on.
    op.set("/token", Reply::json(200, &json!({ "access_token": "at-2", "token_type": "DPoP" })));
    assert!(matches!(refresh(&client, key.as_ref()).await, Refreshed::Tokens(_)));
    let requests = op.requests("/token");
    assert_eq!((requests.len(), &proof(&requests[2]).1["nonce"]), (3, &json!("n-1")));
}

#[tokio::test]
async fn a_wish_without_a_usable_nonce_is_a_refusal_like_any_other() {
    let (op, client) = stage().await;
    for reply in [
        Reply::json(400, &json!({ "error": "use_dpop_nonce" })),
        wish("a\"b"),
        Reply { headers: "DPoP-Nonce: n-1\r\n".into(), ..Reply::json(400, &json!({ "error": "invalid_dpop_proof" })) },
    ] {
        op.set("/token", reply);
        let before = op.count("/token");
        let refreshed = refresh(&client, client.new_dpop_key().as_ref()).await;
        assert!(matches!(refreshed, Refreshed::Misconfigured(_)), "{refreshed:?}");
        assert_eq!(op.count("/token"), before + 1);
    }
    op.set("/token", wish("n-1"));
    let before = op.count("/token");
    assert!(matches!(refresh(&client, None).await, Refreshed::Misconfigured(_)));
    assert_eq!(op.count("/token"), before + 1, "who proves nothing has no use for a nonce");
}

#[tokio::test]
async fn a_key_that_is_none_sends_nothing() {
    let (op, client) = stage().await;
    let refreshed = refresh(&client, Some(&DpopKey::new("AAAA"))).await;
    assert!(matches!(refreshed, Refreshed::Unavailable(_)), "{refreshed:?}");
    assert_eq!(op.count("/token"), 0);
}

#[tokio::test]
async fn userinfo_is_asked_with_the_bound_token_and_hears_the_wish_for_a_nonce_once() {
    let (op, _) = stage().await;
    let client = op.client_with(|config| {
        client_of(config).requests.dpop = true;
        oidc_of(config).userinfo = true;
    });
    op.set("/userinfo", Reply::json(200, &json!({ "sub": "alice", "name": "Alice" })));
    assert_eq!(redeem(&client).await.unwrap().user.claims()["name"], "Alice");
    let request = op.requests("/userinfo").remove(0);
    assert_eq!(request.header("authorization"), Some("DPoP at-1"));
    let claims = proof(&request).1;
    assert_eq!((&claims["htm"], &claims["htu"]), (&json!("GET"), &json!(format!("{}/userinfo", op.issuer()))));
    let ath = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"at-1");
    assert_eq!(claims["ath"], URL_SAFE_NO_PAD.encode(ath));
    let headers = "WWW-Authenticate: Bearer, dPoP error=\"use_dpop_nonce\"\r\nDPoP-Nonce: n-9\r\n".into();
    op.set("/userinfo", Reply { headers, ..Reply::raw(401, "") });
    let error = redeem(&client).await.unwrap_err();
    assert!(matches!(&error, RedeemError::Unidentified(why) if why.contains("401")), "{error}");
    let requests = op.requests("/userinfo");
    assert_eq!((requests.len(), &proof(&requests[2]).1["nonce"]), (3, &json!("n-9")));
}
