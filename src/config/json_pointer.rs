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

    /// The pointer as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
    fn what_is_no_pointer_is_refused() {
        for text in ["id", "$.id", "/a~", "/a~2", "#/id", "/a\n", &format!("/{}", "x".repeat(256))] {
            assert_eq!(JsonPointer::parse(text), Err(NotAPointer), "{text}");
        }
    }
}
