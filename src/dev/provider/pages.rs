//! The provider's pages: plain HTML that works without script.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::User;
use super::desk::{Shown, View};
use super::respond::page;

const FRAME: &str = include_str!("../assets/provider/frame.html");
const LOGIN: &str = include_str!("../assets/provider/login.html");
const USER: &str = include_str!("../assets/provider/user.html");
const CONFIRM: &str = include_str!("../assets/provider/confirm.html");
const MESSAGE: &str = include_str!("../assets/provider/message.html");
const DESK: &str = include_str!("../assets/provider/desk.html");
const DESK_LOGIN: &str = include_str!("../assets/provider/desk_login.html");
const SWITCH: &str = include_str!("../assets/provider/switch.html");
const POSTING: &str = include_str!("../assets/provider/posting.html");
const FIELD: &str = "<input type=\"hidden\" name=\"{{name}}\" value=\"{{value}}\">\n";
const POST: &str = include_str!("../assets/provider/post.js");
const NOTICE: &str = r#"<p class="notice" role="status">{{notice}}</p>"#;
const SECONDS: &str = r#"<label><input type="number" name="seconds" value="5" min="1" max="60"> s</label>"#;
const STYLE: &str = include_str!("../assets/provider/provider.css");
const ICON: &str = include_str!("../assets/provider/icon.svg");

/// The login page.
pub(super) fn login(client: &str, request: &str, token: &str, users: &[&User]) -> String {
    let buttons: String =
        users.iter().map(|user| fill(USER, &[("id", &user.id), ("name", &user.name), ("note", &user.note)])).collect();
    // The buttons are markup already, so they go in before the rest is filled.
    let body = LOGIN.replace("{{users}}", &buttons);
    frame("Sign in", &fill(&body, &[("client", client), ("request", request), ("token", token)]))
}

/// Asks whether the user wants to sign out.
pub(super) fn confirm_logout(name: &str, request: &str, token: &str) -> String {
    frame("Sign out", &fill(CONFIRM, &[("name", name), ("request", request), ("token", token)]))
}

/// A form with these fields that the browser posts to `action` by itself.
pub(super) fn posting(action: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(name, value)| fill(FIELD, &[("name", name), ("value", value)])).collect();
    // The fields are markup already, so they go in before the rest is filled.
    frame("Back", &fill(&POSTING.replace("{{fields}}", &fields), &[("action", action)]))
}

/// A page that says one thing.
pub(super) fn message(title: &str, text: &str) -> String {
    frame(title, &fill(MESSAGE, &[("title", title), ("text", text)]))
}

/// The page with the buttons.
pub(super) fn desk(view: &View<'_>) -> String {
    let profile = &view.shared.profile;
    let logins: String = view.logins.iter().map(|shown| login_card(view, shown)).collect();
    let nobody = r#"<p class="none">Nobody. Sign in at one of the demo sites, then come back here.</p>"#.to_owned();
    let notice = view.notice.as_deref().map(|notice| fill(NOTICE, &[("notice", notice)])).unwrap_or_default();
    // These are markup already, so they go in before the rest is filled.
    let body = DESK
        .replace("{{switches}}", &switches(view))
        .replace("{{logins}}", if logins.is_empty() { &nobody } else { &logins })
        .replace("{{notice}}", &notice);
    let lifetime = view.shared.access_token_lifetime().as_secs();
    let lifetime =
        if profile.tokens.expires { format!("{lifetime} seconds") } else { "until they are revoked".to_owned() };
    let beside = if profile.own_login.is_none() { ", beside the client\u{2019}s id and secret" } else { "" };
    let entry = profile.entry_at(&view.shared.address);
    let words = [
        ("beside", beside),
        ("entry", entry.trim()),
        ("profile", profile.name),
        ("about", profile.about),
        ("token", &view.token),
        ("issuer", &view.shared.issuer),
        ("lifetime", &lifetime),
    ];
    frame("Desk", &fill(&body, &words))
}

/// A button with what it does: its title, what is so now, what to expect of pressing it, its value, its label.
type Button<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

fn switches(view: &View<'_>) -> String {
    let behaviour = &view.behaviour;
    let slow = format!("{} s", behaviour.slowness.as_secs());
    let mut all = String::new();
    if view.has_keys() {
        let expect =
            "New logins fail, as no ID token can be checked. Whoever is signed in stays so, refreshes included.";
        all += &if behaviour.keys_broken {
            switch(true, "", ("Key set", "broken", expect, "mend-keys", "Mend"))
        } else {
            switch(false, "", ("Key set", "fine", expect, "break-keys", "Break"))
        };
    }
    let expect = "A login and a refresh wait. Calls with a token that is still good do not.";
    all += &if behaviour.slowness.is_zero() {
        switch(false, SECONDS, ("Answers", "at once", expect, "slow", "Slow down"))
    } else {
        switch(true, "", ("Answers", &slow, expect, "fast", "At once"))
    };
    let expect = "Calls go on while the token is good, then get 503 and \u{201c}you stay signed in\u{201d}. Nobody is logged out.";
    all += &if behaviour.down {
        switch(true, "", ("Service", "down", expect, "up", "Bring back"))
    } else {
        switch(false, "", ("Service", "up", expect, "down", "Take down"))
    };
    all
}

fn login_card(view: &View<'_>, shown: &Shown) -> String {
    let is_renewed = shown.login.grant.refreshable;
    let expect = match is_renewed {
        true => "The API answers 401 and the page says so, until the gateway refreshes in due time.",
        false => "The API answers 401 and the page says so: no other token comes.",
    };
    let mut actions = vec![("Expire the access token", "", expect, "expire", "Expire")];
    let over = "At the next refresh the session ends: \u{201c}The provider no longer accepts this login.\u{201d}";
    actions.extend(match (view.shared.profile.own_login, is_renewed) {
        (None, true) => Some(("Revoke the refresh token", "", over, "revoke", "Revoke")),
        (None, false) => None,
        (Some(_), true) => Some(("Blacklist the token", "", over, "revoke", "Blacklist")),
        (Some(_), false) => {
            let expect = "The API answers 401. The gateway\u{2019}s session goes on: nobody tells it.";
            Some(("Delete the token", "", expect, "revoke", "Delete"))
        }
    });
    if view.has_back_channel() {
        let expect =
            "Ends this browser\u{2019}s sessions at once, at both sites: \u{201c}ended from elsewhere\u{201d}.";
        actions.push(("Back-channel logout, this session", "", expect, "log-out-session", "Log out"));
        let expect = "The same for every browser in which this person is signed in.";
        actions.push(("Back-channel logout, all sessions", "", expect, "log-out-person", "Log out all"));
    }
    let actions: String = actions.into_iter().map(|action| switch(false, "", action)).collect();
    let refreshes = match shown.login.refreshes {
        0 => "not refreshed yet".to_owned(),
        1 => "refreshed once".to_owned(),
        times => format!("refreshed {times} times"),
    };
    let words = [
        ("token", &*view.token),
        ("login", &*shown.handle),
        ("user", &*shown.user.id),
        ("name", &*shown.user.name),
        ("client", &*shown.client),
        ("refreshes", &*refreshes),
    ];
    fill(&DESK_LOGIN.replace("{{actions}}", &actions), &words)
}

fn switch(on: bool, extra: &str, (title, now, expect, does, label): Button<'_>) -> String {
    let state = if on { "on" } else { "off" };
    let words = [("state", state), ("title", title), ("now", now), ("expect", expect), ("do", does), ("label", label)];
    fill(&SWITCH.replace("{{extra}}", extra), &words)
}

pub(super) async fn not_found() -> HttpResponse {
    page(StatusCode::NOT_FOUND, message("There is nothing here", "The provider has no such page."), &[])
}

/// `GET /provider.css`
pub(super) async fn stylesheet() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(STYLE)
}

/// `GET /post.js`
pub(super) async fn script() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(POST)
}

/// `GET /icon.svg`
pub(super) async fn icon() -> HttpResponse {
    HttpResponse::Ok().content_type("image/svg+xml").body(ICON)
}

fn frame(title: &str, body: &str) -> String {
    fill(FRAME, &[("title", title)]).replace("{{body}}", body)
}

fn fill(template: &str, words: &[(&str, &str)]) -> String {
    words
        .iter()
        .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), &escape(value)))
}

/// Makes text safe inside an element and inside a quoted attribute; braces too, so that a value is never a placeholder.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '{' => safe.push_str("&#123;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_placeholders_in_values_stay_text() {
        let page = login(r#"<b>"{{token}}"#, "a=1&b='2'", "secret", &[]);
        assert!(page.contains("&lt;b&gt;&quot;&#123;&#123;token}}"));
        assert!(page.contains("a=1&amp;b=&#39;2&#39;"));
    }
}
