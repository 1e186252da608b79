//! `logs --details`: what a line tells of its container, as Docker shows it: `key=value,key=value`, in the order of the keys,
//! each as in the query of a URL.

use std::collections::BTreeMap;

/// The last that were shown: those of the next line are mostly the same.
#[derive(Debug, Default)]
pub struct Details {
    attrs: String,
    shown: String,
}

impl Details {
    /// As Docker shows them; `attrs` are those of a [`Line`](super::Line).
    pub fn of(&mut self, attrs: Option<&str>) -> &str {
        let attrs = attrs.unwrap_or_default();
        if attrs != self.attrs {
            attrs.clone_into(&mut self.attrs);
            let all: BTreeMap<String, String> = serde_json::from_str(attrs).unwrap_or_default();
            let pairs: Vec<String> =
                all.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
            self.shown = pairs.join(",");
        }
        &self.shown
    }
}

/// As Go's `url.QueryEscape`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Details;

    #[test]
    fn they_are_dockers() {
        let mut details = Details::default();
        assert_eq!(details.of(Some(r#"{"b":"1 2","a":"x,=é"}"#)), "a=x%2C%3D%C3%A9,b=1+2");
        assert_eq!(details.of(None), "");
        assert_eq!(details.of(Some("nonsense")), "");
    }
}
