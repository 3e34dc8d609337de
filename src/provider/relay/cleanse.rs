//! Takes out of an API's words what is, or could be, a token, before anybody else sees them.

use serde_json::Value;

use crate::config::JsonPointer;

/// Removes what stands at `places`; then, at any depth, every text that is named like a token, and every one that holds
/// something that looks like one.
pub(super) fn cleanse(document: &mut Value, places: &[&JsonPointer]) {
    for place in places {
        place.remove(document);
    }
    sweep(document);
}

fn sweep(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, value| !value.as_str().is_some_and(|text| is_named_so(name) || holds_token(text)));
            members.values_mut().for_each(sweep);
        }
        Value::Array(elements) => {
            elements.retain(|element| !element.as_str().is_some_and(holds_token));
            elements.iter_mut().for_each(sweep);
        }
        _ => {}
    }
}

/// `access_token`, `plainTextToken`, `api-token`, `jwt`.
fn is_named_so(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    plain.ends_with("token") || matches!(plain.as_str(), "jwt" | "bearer" | "authorization")
}

/// A JWT (RFC 7519 §3: base64url of `{"` comes first), or a Sanctum token: a number, a bar, and forty characters or more.
fn holds_token(text: &str) -> bool {
    let in_a_word = |byte: char| byte.is_ascii_alphanumeric() || matches!(byte, '-' | '_' | '.' | '|');
    text.split(|character| !in_a_word(character)).any(|word| {
        let is_jwt = word.starts_with("eyJ") && word.matches('.').count() >= 2;
        let is_sanctum = word.split_once('|').is_some_and(|(number, rest)| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && rest.len() >= 40
        });
        is_jwt || is_sanctum
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_could_be_a_token_goes_and_what_a_form_shows_stays() {
        let pointer = |text| JsonPointer::parse(text).unwrap();
        let (first, second) = (pointer("/data/0/key"), pointer("/missing/x"));
        let mut document = json!({
            "message": "The given data was invalid.",
            "errors": { "token": ["The token is invalid."], "email": ["Taken."] },
            "data": [{ "key": "opaque", "left": 1 }],
            "access_token": "a", "refreshToken": "b", "plain-text-token": "c", "jwt": "d", "Authorization": "Bearer e",
            "tokens": 3,
            "debug": "sent Bearer eyJhbGciOiJub25lIn0.e30.c2ln to",
            "trace": ["harmless", "eyJhbGciOiJub25lIn0.e30.c2ln", { "api_token": "f", "line": 1 }],
            "hint": format!("use 12|{}", "x".repeat(40)),
        });
        cleanse(&mut document, &[&first, &second]);
        let left = json!({
            "message": "The given data was invalid.",
            "errors": { "token": ["The token is invalid."], "email": ["Taken."] },
            "data": [{ "left": 1 }],
            "tokens": 3,
            "trace": ["harmless", { "line": 1 }],
        });
        assert_eq!(document, left);
    }

    #[test]
    fn ordinary_words_are_no_tokens() {
        for text in ["1|2", "12|short", "eyJust a word", "v1.2.3", "a|b|c", "Too many attempts. Retry in 30 seconds."] {
            assert!(!holds_token(text), "{text}");
        }
    }
}
