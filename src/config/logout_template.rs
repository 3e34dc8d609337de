//! A value of `logout_params`: a text with placeholders, such as `{client_id}`.

use super::suggest;

/// What stands in front of a claim's name.
const CLAIM: &str = "claim:";

/// What stands for what, as it is written between braces.
const PLACEHOLDERS: [(&str, Placeholder); 4] = [
    ("client_id", Placeholder::ClientId),
    ("return_to", Placeholder::ReturnTo),
    ("id_token", Placeholder::IdToken),
    ("state", Placeholder::State),
];

/// A text with placeholders, well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutTemplate(Vec<Part>);

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

/// What is known at a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `{client_id}`
    ClientId,
    /// `{return_to}`: the site's post-logout redirect URI.
    ReturnTo,
    /// `{id_token}`, where there is one that may be shown.
    IdToken,
    /// `{state}`, by which the browser finds back to where it wanted to go.
    State,
    /// `{claim:NAME}`: what the ID token says under that name, if that is a text.
    Claim(String),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wrong}")]
pub struct NotATemplate {
    /// What is wrong.
    pub wrong: String,
    /// What to do.
    pub remedy: String,
}

impl LogoutTemplate {
    /// Reads one. Braces stand around placeholders and nowhere else.
    ///
    /// # Errors
    /// [`NotATemplate`] for a brace that is alone, and for a name that stands for nothing.
    pub fn parse(text: &str) -> Result<Self, NotATemplate> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (before, braced) = rest.split_at(open);
            let name = braced.strip_prefix('{').and_then(|braced| braced.split_once('}'));
            let (name, after) = name.ok_or_else(|| wrong(format!("{text:?} has a brace without its partner"), ""))?;
            let placeholder =
                meant(name).ok_or_else(|| wrong(format!("\"{{{name}}}\" stands for nothing here"), name))?;
            parts.extend((!before.is_empty()).then(|| Part::Text(before.to_owned())));
            parts.push(Part::Placeholder(placeholder));
            rest = after;
        }
        parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
        Ok(Self(parts))
    }

    /// The text with everything in its place; `None` when one of the placeholders stands for nothing now.
    pub fn fill<'v>(&self, known: impl Fn(&Placeholder) -> Option<&'v str>) -> Option<String> {
        self.0.iter().try_fold(String::new(), |text, part| {
            Some(
                text + match part {
                    Part::Text(part) => part,
                    Part::Placeholder(placeholder) => known(placeholder)?,
                },
            )
        })
    }
}

fn meant(name: &str) -> Option<Placeholder> {
    if let Some(claim) = name.strip_prefix(CLAIM) {
        return (!claim.is_empty()).then(|| Placeholder::Claim(claim.to_owned()));
    }
    PLACEHOLDERS.iter().find(|(known, _)| *known == name).map(|(_, placeholder)| placeholder.clone())
}

fn wrong(wrong: String, name: &str) -> NotATemplate {
    let remedy = match suggest::nearest(name, PLACEHOLDERS.iter().map(|(known, _)| *known)) {
        Some(near) => format!("did you mean \"{{{near}}}\"?"),
        None => "write {client_id}, {return_to}, {id_token}, {state} or {claim:NAME}".to_owned(),
    };
    NotATemplate { wrong, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str, id_token: Option<&str>) -> Option<String> {
        let template = LogoutTemplate::parse(text).unwrap();
        template.fill(|placeholder| match placeholder {
            Placeholder::ClientId => Some("app"),
            Placeholder::ReturnTo => Some("https://app.example/out"),
            Placeholder::IdToken => id_token,
            Placeholder::State => Some("s"),
            Placeholder::Claim(name) => Some("hint").filter(|_| name == "login_hint"),
        })
    }

    #[test]
    fn placeholders_are_filled_once_and_text_stays() {
        for (text, filled) in [
            ("{client_id}", "app"),
            ("", ""),
            ("code", "code"),
            ("a{state}b{state}", "asbs"),
            ("{id_token}", "{state}"),
            ("{claim:login_hint}", "hint"),
        ] {
            assert_eq!(fill(text, Some("{state}")).as_deref(), Some(filled), "{text}");
        }
        for text in ["x{id_token}", "{claim:email}", "{claim:login_hint}{claim:email}"] {
            assert_eq!(fill(text, None), None, "{text}: a parameter without its value is left out");
        }
    }

    #[test]
    fn what_stands_for_nothing_is_refused_with_what_was_meant() {
        for (text, remedy) in [
            ("{clientid}", "\"{client_id}\""),
            ("{returnto}", "\"{return_to}\""),
            ("{}", "{state}"),
            ("{client_id", "{state}"),
            ("client_id}", "{state}"),
            ("{{client_id}}", "\"{client_id}\""),
            ("{access_token}", "write {client_id}"),
            ("{claim:}", "{claim:NAME}"),
            ("{login_hint}", "{claim:NAME}"),
        ] {
            let wrong = LogoutTemplate::parse(text).unwrap_err();
            assert!(wrong.remedy.contains(remedy), "{text}: {wrong:?}");
        }
    }
}
