//! The OpenID Connect client against a provider that lies, dawdles and falls over, and that judges how it is asked.

mod front_channel;
mod hostile;
mod id_token;
mod keys;
mod logout;
mod metadata;
mod signing;
mod token;
