//! A place in a JSON document (RFC 6901), such as `/data/user/id`.

use serde_json::Value;

/// A JSON Pointer that is well formed; the empty one is the document itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPointer(String);

/// Why a text is no JSON Pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a JSON Pointer (RFC 6901)")]
pub struct NotAPointer;

impl JsonPointer {
    /// Reads one: each step begins with `/`, and `~` is written `~0`, `/` inside a name `~1` (RFC 6901 §3).
    ///
    /// # Errors
    /// [`NotAPointer`] for anything else.
    pub fn parse(text: &str) -> Result<Self, NotAPointer> {
        let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        let plain = text.len() <= 256 && !text.chars().any(char::is_control);
        if (text.is_empty() || text.starts_with('/')) && escaped && plain {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAPointer)
    }

    /// What stands there; `None` where there is no such place.
    #[must_use]
    pub fn find<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        document.pointer(&self.0)
    }

    /// Takes out what stands there; nothing where there is no such place, and none of the document itself.
    pub fn remove(&self, document: &mut Value) {
        let Some((parent, name)) = self.0.rsplit_once('/') else { return };
        match document.pointer_mut(parent) {
            Some(Value::Object(members)) => drop(members.remove(&unescaped(name))),
            Some(Value::Array(elements)) => {
                if let Some(index) = name.parse().ok().filter(|index| *index < elements.len()) {
                    elements.remove(index);
                }
            }
            _ => {}
        }
    }

    /// Whether it is the document itself.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The place around this one; `None` for the document itself.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The name of the last step; empty for the document itself.
    #[must_use]
    pub fn last_name(&self) -> String {
        self.0.rsplit_once('/').map_or_else(String::new, |(_, name)| unescaped(name))
    }

    /// The pointer as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 6901 §4: first `~1`, then `~0`.
fn unescaped(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_found_by_name_index_and_escape() {
        let document = json!({ "data": [{ "id": 7 }], "a/b": { "m~n": true } });
        for (pointer, found) in
            [("/data/0/id", json!(7)), ("/a~1b/m~0n", json!(true)), ("", document.clone()), ("/data/1", json!(null))]
        {
            let place = JsonPointer::parse(pointer).unwrap();
            assert_eq!(place.find(&document).cloned().unwrap_or_default(), found, "{pointer}");
        }
    }

    #[test]
    fn what_stands_at_a_place_is_taken_out_and_nothing_else() {
        let document = json!({ "data": [{ "id": 7 }, 8], "a/b": { "m~n": true } });
        for (pointer, left) in [
            ("/data/0/id", json!({ "data": [{}, 8], "a/b": { "m~n": true } })),
            ("/data/0", json!({ "data": [8], "a/b": { "m~n": true } })),
            ("/a~1b/m~0n", json!({ "data": [{ "id": 7 }, 8], "a/b": {} })),
            ("/a~1b", json!({ "data": [{ "id": 7 }, 8] })),
            ("/data/2", document.clone()),
            ("/nowhere/at", document.clone()),
            ("", document.clone()),
        ] {
            let mut found = document.clone();
            JsonPointer::parse(pointer).unwrap().remove(&mut found);
            assert_eq!(found, left, "{pointer}");
        }
    }

    #[test]
    fn a_place_has_a_name_and_a_place_around_it() {
        for (pointer, name, parent) in [
            ("/data/user/id", "id", Some("/data/user")),
            ("/id", "id", Some("")),
            ("/a~1~0b", "a/~b", Some("")),
            ("", "", None),
        ] {
            let place = JsonPointer::parse(pointer).unwrap();
            assert_eq!(place.last_name(), name);
            assert_eq!(place.parent().as_ref().map(JsonPointer::as_str), parent);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["id", "$.id", "/a~", "/a~2", "#/id", "/a\n", &format!("/{}", "x".repeat(256))] {
            assert_eq!(JsonPointer::parse(text), Err(NotAPointer), "{text}");
        }
    }
}
