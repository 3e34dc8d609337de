//! `response_mode` of `[[site.provider]]`.

use serde::{Deserialize, Serialize};

/// `response_mode`: how the provider hands over its answer to the authorization request (OAuth 2.0 Multiple Response Type
/// Encoding Practices §2.1, OAuth 2.0 Form Post Response Mode, JARM §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResponseMode {
    /// In the query of the redirect; the default of the code flow, and so not asked for.
    #[default]
    #[serde(rename = "query")]
    Query,
    /// In a form that the browser posts.
    #[serde(rename = "form_post")]
    FormPost,
    /// In a signed token; where, the provider chooses by the response type: in the query, for codes.
    #[serde(rename = "jwt")]
    Jwt,
    /// In a signed token in the query.
    #[serde(rename = "query.jwt")]
    QueryJwt,
    /// In a signed token in a form.
    #[serde(rename = "form_post.jwt")]
    FormPostJwt,
}

impl ResponseMode {
    /// Every mode, by its word.
    pub const ALL: [(&'static str, Self); 5] = [
        ("query", Self::Query),
        ("form_post", Self::FormPost),
        ("jwt", Self::Jwt),
        ("query.jwt", Self::QueryJwt),
        ("form_post.jwt", Self::FormPostJwt),
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
            Self::Jwt => "jwt",
            Self::QueryJwt => "query.jwt",
            Self::FormPostJwt => "form_post.jwt",
        }
    }

    /// Whether the browser posts the answer.
    #[must_use]
    pub const fn is_posted(self) -> bool {
        matches!(self, Self::FormPost | Self::FormPostJwt)
    }

    /// Whether the answer is a signed token.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Jwt | Self::QueryJwt | Self::FormPostJwt)
    }
}
