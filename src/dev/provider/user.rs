//! The people who can sign in.

use actix_web::{HttpResponse, web};

use super::shared::Shared;

/// Someone who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The subject, and the value of the login page's button.
    pub id: String,
    /// The full name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
    /// What the login page says about them.
    pub note: String,
    /// The avatar's colour, `#rrggbb`.
    pub colour: String,
}

impl User {
    /// Four people to whom computing owes a lot.
    #[must_use]
    pub fn demo() -> Vec<Self> {
        let person = |id: &str, name: &str, note: &str, colour: &str| Self {
            id: id.to_owned(),
            name: name.to_owned(),
            email: format!("{id}@people.example"),
            note: note.to_owned(),
            colour: colour.to_owned(),
        };
        vec![
            person("ada", "Ada Lovelace", "Wrote the first program", "#7c3aed"),
            person("grace", "Grace Hopper", "Built the first compiler", "#0f766e"),
            person("alan", "Alan Turing", "Asked whether machines think", "#b45309"),
            person("barbara", "Barbara Liskov", "Made substitution a principle", "#be185d"),
        ]
    }

    /// The first letters of the first and the last name.
    #[must_use]
    pub fn initials(&self) -> String {
        let mut words = self.name.split_whitespace().filter_map(|word| word.chars().next());
        words.next().into_iter().chain(words.next_back()).collect()
    }
}

/// `GET /avatar/{user}.svg`
pub(super) async fn avatar(shared: web::Data<Shared>, id: web::Path<String>) -> HttpResponse {
    let Some(user) = shared.user(&id) else { return HttpResponse::NotFound().finish() };
    HttpResponse::Ok().content_type("image/svg+xml").body(format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 80"><circle cx="40" cy="40" r="40" fill="{}"/>"#,
            r##"<text x="40" y="41" fill="#fff" font-family="system-ui,sans-serif" font-size="30" font-weight="600" "##,
            r#"text-anchor="middle" dominant-baseline="central">{}</text></svg>"#
        ),
        user.colour,
        super::pages::escape(&user.initials()),
    ))
}
