//! How an authorization response comes back: in the URL, in a form that the browser posts, or in a token of the provider's
//! in either of them (OAuth 2.0 Multiple Response Types §2.1, OAuth 2.0 Form Post Response Mode, JARM).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Map, Value};
use url::Url;

use super::respond::{page, page_that_posts, redirect};
use super::shared::Shared;
use super::{login, pages};
use crate::secret::random_base64url;

/// How long a signed answer is good; JARM §2.1 wants ten minutes at most.
const GOOD_FOR: u64 = 60;

/// Where an answer goes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) redirect_uri: String,
    pub(super) mode: Mode,
    /// Whom a signed answer is for.
    pub(super) client_id: String,
}

/// `response_mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    posted: bool,
    signed: bool,
}

impl Mode {
    /// What a code comes back by when nothing is asked for.
    pub(super) const QUERY: Self = Self { posted: false, signed: false };

    /// The mode of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (posted, signed) = match name {
            "query" => (false, false),
            "form_post" => (true, false),
            "jwt" | "query.jwt" => (false, true),
            "form_post.jwt" => (true, true),
            _ => return None,
        };
        Some(Self { posted, signed })
    }
}

/// Sends the browser back with these words; they say who they are from (RFC 9207 §2), unless the profile knows better.
pub(super) fn answer(shared: &Shared, way: &Way, words: &[(&str, &str)]) -> HttpResponse {
    let Ok(mut location) = Url::parse(&way.redirect_uri) else {
        let text = "The registered redirect URI is not a URL.";
        return page(StatusCode::BAD_REQUEST, pages::message("This request cannot be answered", text), &[]);
    };
    let rules = &shared.profile.authorization;
    let session_state = random_base64url();
    let mut words = words.to_vec();
    if rules.session_state {
        words.push(("session_state", &session_state));
    }
    let signed = way.mode.signed.then(|| sign(shared, &way.client_id, &words));
    let words = match &signed {
        Some(token) => vec![("response", token.as_str())],
        None => {
            words.extend(rules.names_issuer.then_some(("iss", shared.issuer.as_str())));
            words
        }
    };
    if way.mode.posted {
        return page_that_posts(pages::posting(&way.redirect_uri, &words), &login::origin_of(&way.redirect_uri));
    }
    location.query_pairs_mut().extend_pairs(words);
    redirect(location.as_str())
}

/// JARM §2.1
fn sign(shared: &Shared, client_id: &str, words: &[(&str, &str)]) -> String {
    let mut claims: Map<String, Value> =
        words.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    claims.insert("iss".to_owned(), shared.issuer.as_str().into());
    claims.insert("aud".to_owned(), client_id.into());
    claims.insert("exp".to_owned(), (shared.now().as_secs() + GOOD_FOR).into());
    shared.keys.sign("JWT", &claims)
}
