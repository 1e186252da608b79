//! The header `WWW-Authenticate`: how a registry wants to be asked (RFC 9110, section 11; Bearer as in Docker's token
//! authentication specification).
//!
//! The grammar is ambiguous to the eye (commas separate both parameters and challenges), and the header comes from whoever
//! answers: what does not read is skipped, never guessed.

/// How a registry wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// With a user's name and password.
    Basic,
    /// With a token that another server gives.
    Bearer {
        /// The address of that server.
        realm: String,
        /// Whom the token is for.
        service: Option<String>,
    },
}

/// Longer headers are not read.
const LONGEST: usize = 16 * 1024;

impl Challenge {
    /// The challenges of one header, in its order; of other schemes none.
    pub fn parse(header: &str) -> Vec<Challenge> {
        let mut rest = Rest(if header.len() > LONGEST { "" } else { header });
        let mut all = Vec::new();
        while let Some((scheme, parameters)) = rest.challenge() {
            let take = |name: &str| {
                let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("basic") {
                all.push(Challenge::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = take("realm")
            {
                all.push(Challenge::Bearer { realm, service: take("service") });
            }
        }
        all
    }
}

/// What is left of the header.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// A scheme and its parameters.
    fn challenge(&mut self) -> Option<(&'a str, Vec<(&'a str, String)>)> {
        let scheme = loop {
            self.skip(|c| c == ',' || c.is_ascii_whitespace());
            if self.0.is_empty() {
                return None;
            }
            match self.token() {
                Some(token) => break token,
                // What can begin no scheme.
                None => self.skip_one(),
            }
        };
        let mut parameters = Vec::new();
        loop {
            let before = self.0;
            self.skip(|c| c == ',' || c.is_ascii_whitespace());
            match self.parameter() {
                Some(parameter) => parameters.push(parameter),
                None => {
                    // The next scheme, the end, or a token68, which neither scheme here has.
                    self.0 = before;
                    return Some((scheme, parameters));
                }
            }
        }
    }

    fn parameter(&mut self) -> Option<(&'a str, String)> {
        let key = self.token()?;
        self.skip(|c| matches!(c, ' ' | '\t'));
        self.0 = self.0.strip_prefix('=')?;
        self.skip(|c| matches!(c, ' ' | '\t'));
        let value = match self.0.strip_prefix('"') {
            Some(quoted) => self.quoted(quoted)?,
            None => self.token().unwrap_or_default().to_owned(),
        };
        Some((key, value))
    }

    fn quoted(&mut self, text: &'a str) -> Option<String> {
        let mut value = String::new();
        let mut letters = text.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = text.get(at + 1..).unwrap_or_default();
                    return Some(value);
                }
                '\\' => value.push(letters.next()?.1),
                letter => value.push(letter),
            }
        }
        None
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !is_token(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(token).filter(|token| !token.is_empty())
    }

    fn skip(&mut self, what: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(what);
    }

    fn skip_one(&mut self) {
        let mut letters = self.0.chars();
        letters.next();
        self.0 = letters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::Challenge;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.map(str::to_owned) }
    }

    #[test]
    fn challenges_are_read() {
        let hub = "Bearer realm=\"https://auth.example/token\",service=\"registry.example\",scope=\"repository:a/b:pull,push\"";
        assert_eq!(Challenge::parse(hub), [bearer("https://auth.example/token", Some("registry.example"))]);
        assert_eq!(Challenge::parse(r#"basic realm="a \"quoted\", realm""#), [Challenge::Basic]);
        let both = Challenge::parse("Negotiate, Bearer Realm = https, service=x , Basic realm=\"y\"");
        assert_eq!(both, [bearer("https", Some("x")), Challenge::Basic]);
        let with_68 = Challenge::parse("Negotiate a87421000492aa874209af8bc028==, Basic realm=y");
        assert!(with_68.contains(&Challenge::Basic), "{with_68:?}");
        // No realm, nobody to ask; a quote that never ends says nothing.
        for nothing in
            ["", "Bearer", "Bearer service=\"x\"", "Bearer realm=\"x", ",,,=", &"x".repeat(100_000)]
        {
            assert_eq!(Challenge::parse(nothing), [], "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_to_its_end(header in ".{0,200}|(Basic|Bearer|[a-z=\",\\\\ ]){0,80}") {
            Challenge::parse(&header);
        }

        #[test]
        fn what_is_quoted_comes_back(realm in ".{0,40}", service in ".{0,40}") {
            let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("Bearer realm=\"{}\", service=\"{}\"", quote(&realm), quote(&service));
            prop_assert_eq!(Challenge::parse(&header), [bearer(&realm, Some(&service))]);
        }
    }
}
