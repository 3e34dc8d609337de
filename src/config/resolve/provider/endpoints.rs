//! Endpoints that a server may or may not have: of one without discovery they are known from nowhere else, of one with it they
//! stand in the place of what its metadata say, or do not say.

use crate::config::address::endpoint_url;
use crate::config::section::Section;
use crate::config::{Par, WrittenEndpoints};

const PUSHED: &str = "pushed_authorization_request_endpoint";

/// The endpoints; what is wrong is reported, and read as if it were not written.
pub(super) fn endpoints(section: &Section<'_>, plaintext: bool, par: Par) -> WrittenEndpoints {
    let optional = |key: &str| section.get(key, |node| endpoint_url(node, plaintext));
    if par == Par::Never && section.is_written_here(PUSHED) {
        section.fault(PUSHED, "has no effect with par = \"never\"", "remove it, or write par = \"auto\"");
    }
    WrittenEndpoints {
        revocation: optional("revocation_endpoint"),
        end_session: optional("end_session_endpoint"),
        pushed: optional(PUSHED),
    }
}
