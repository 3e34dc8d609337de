//! The UserInfo endpoint, asked once at a login for what the ID token does not say (OpenID Connect Core §5.3).

use serde_json::{Map, Value};
use url::Url;

use super::back_channel::Answer;
use super::claims as common;
use super::jws::Jws;
use super::kept::Occasion;
use super::oidc::Oidc;
use super::signature::{self, Refused};
use super::{Attempt, ProvenUser, RedeemError, Tokens, Unavailable, bound};

/// The largest answer that becomes part of a session.
const LARGEST: usize = 256 * 1024;

/// The claims of tokens about themselves and about the login. Only the ID token's own count, which were checked.
const OF_THE_TOKEN: [&str; 17] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "auth_time",
    "acr",
    "amr",
    "azp",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "events",
];

/// `user`, with what the endpoint says on top of what the ID token did.
pub(super) async fn complete(
    oidc: &Oidc,
    tokens: &Tokens,
    attempt: &Attempt,
    mut user: ProvenUser,
) -> Result<ProvenUser, RedeemError> {
    let metadata = oidc.metadata().await?;
    let unidentified = |wrong: &str| RedeemError::Unidentified(wrong.to_owned());
    let endpoint: &Url = metadata.userinfo.as_ref().ok_or_else(|| unidentified("the provider has none"))?;
    let silent = |silence| RedeemError::Unidentified(Unavailable::from(silence).0);
    let prover = bound::open(attempt.dpop_key.as_ref(), &oidc.clock).map_err(silent)?;
    let answer = oidc.caller.get_as(endpoint, &tokens.access_token, prover.as_ref()).await.map_err(silent)?;
    if answer.status != 200 {
        return Err(RedeemError::Unidentified(format!("it answered {}", answer.status)));
    }
    let claims = match claims(oidc, &answer).await {
        Ok(claims) => claims,
        Err(Refused::Unavailable(unavailable)) => return Err(unavailable.into()),
        Err(refused) => return Err(RedeemError::Unidentified(format!("its answer: {refused}"))),
    };
    // §5.3.2: "The sub Claim in the UserInfo Response MUST be verified to exactly match the sub Claim in the ID Token".
    if common::subject(&claims) != Some(&user.subject) {
        return Err(unidentified("its answer: `sub` is missing or another user"));
    }
    user.claims.extend(claims.into_iter().filter(|(name, _)| !OF_THE_TOKEN.contains(&name.as_str())));
    Ok(user)
}

/// What the answer says: plain JSON from the provider itself, or a JWT with its signature (§5.3.2).
async fn claims(oidc: &Oidc, answer: &Answer) -> Result<Map<String, Value>, Refused> {
    if answer.body().len() > LARGEST {
        return Err(Refused::Invalid("it is too large"));
    }
    if !answer.is_of_type("application/jwt") {
        return answer.json().map_err(|_| Refused::Invalid("it is not a JSON object, or repeats a member"));
    }
    let text = std::str::from_utf8(answer.body()).map_err(|_| Refused::Invalid("it is not a signed token"))?;
    let jws = Jws::read(text.trim_ascii(), &oidc.id_token_algs)?;
    if !jws.is_untyped() {
        return Err(Refused::Invalid("it is a token of another kind"));
    }
    let claims = signature::claims(oidc, &jws, Occasion::Answer).await?;
    if claims.get("iss").and_then(Value::as_str) != Some(&*oidc.issuer) {
        return Err(Refused::Invalid("`iss` is missing or another issuer"));
    }
    common::check_audience(&claims, &oidc.config.client.client_id, &oidc.config.trusted_audiences)?;
    common::validity(&claims, oidc.clock.now(), oidc.config.clock_skew)?;
    Ok(claims)
}
