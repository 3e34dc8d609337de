//! The provider's pages: plain HTML that works without script.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::User;
use super::respond::page;
use super::shared::Shared;

const FRAME: &str = include_str!("../assets/provider/frame.html");
const LOGIN: &str = include_str!("../assets/provider/login.html");
const USER: &str = include_str!("../assets/provider/user.html");
const CONFIRM: &str = include_str!("../assets/provider/confirm.html");
const MESSAGE: &str = include_str!("../assets/provider/message.html");
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

/// A page that says one thing.
pub(super) fn message(title: &str, text: &str) -> String {
    frame(title, &fill(MESSAGE, &[("title", title), ("text", text)]))
}

/// `GET /`: for people who wonder what listens here.
pub(super) async fn front(shared: web::Data<Shared>) -> HttpResponse {
    let who = shared.issuer.as_str();
    let text = format!(
        "This is the OpenID provider of cloakroom dev. Its issuer is {who}. It lives in memory and forgets everything when it stops."
    );
    page(StatusCode::OK, message("A provider for development", &text), &[])
}

pub(super) async fn not_found() -> HttpResponse {
    page(StatusCode::NOT_FOUND, message("There is nothing here", "The provider has no such page."), &[])
}

/// `GET /provider.css`
pub(super) async fn stylesheet() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(STYLE)
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
