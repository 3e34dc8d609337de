//! What a logout does at the provider: the standard's way, a way of the provider's own, or nothing.

use super::client::params;
use crate::config::address::endpoint_url;
use crate::config::document::Node;
use crate::config::fault::Wrong;
use crate::config::section::Section;
use crate::config::value::{choice, text};
use crate::config::{LogoutConfig, LogoutHint, LogoutPage, LogoutTemplate};

/// What a page is for; without it, a local logout has none.
const OF_A_PAGE: [&str; 4] = ["logout_url", "logout_params", "logout_hint", "end_session_endpoint"];

/// The logout; what is wrong is reported, and read as if it were not written.
pub(super) fn logout(section: &Section<'_>, plaintext: bool) -> LogoutConfig {
    let local = section.or("logout", false, choice(&[("provider", false), ("local", true)]));
    let hints = [("id_token", LogoutHint::IdToken), ("client_id", LogoutHint::ClientId)];
    let hint = section.or("logout_hint", LogoutHint::IdToken, choice(&hints));
    let url = section.get("logout_url", |node| endpoint_url(node, plaintext));
    let written = params(section, "logout_params", |_, node| template(node));
    let standard = LogoutConfig::standard(hint).page;
    let page = standard.map(|page| LogoutPage { url, params: written.unwrap_or(page.params), ..page });
    for key in OF_A_PAGE.into_iter().filter(|key| local && section.is_written_here(key)) {
        section.fault(key, "has no effect with logout = \"local\"", "remove it, or write logout = \"provider\"");
    }
    if section.is_written_here("logout_url") && section.is_written_here("end_session_endpoint") {
        section.fault("logout_url", "stands in the place of `end_session_endpoint`", "keep one of the two");
    }
    LogoutConfig {
        page: page.filter(|_| !local),
        hook: section.get("logout_hook", |node| endpoint_url(node, plaintext)),
    }
}

fn template(node: &Node) -> Result<LogoutTemplate, Wrong> {
    LogoutTemplate::parse(text(node)?).map_err(|not| Wrong::new(not.wrong, not.remedy))
}
