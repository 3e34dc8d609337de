//! Sessions: the ticket in the browser, the record in the store, the keys that seal both, and the rules of their lives.

pub mod keyring;
pub mod lifecycle;
pub mod record;
pub mod store;
pub mod ticket;
