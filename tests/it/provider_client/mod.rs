//! The OpenID Connect client against a provider that lies, dawdles and falls over, and that judges how it is asked.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test, what cannot be made or is not expected is a failure"
)]

mod client_auth;
mod dpop;
mod front_channel;
mod hostile;
mod id_token;
mod keys;
mod logout;
mod logout_token;
mod metadata;
mod par;
mod requests;
pub(crate) mod signing;
mod tls;
mod token;
mod userinfo;
