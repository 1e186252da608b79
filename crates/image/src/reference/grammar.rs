//! The character rules of references: domain, path, tag, digest.

use crate::{Digest, ImageError};

/// The longest path, in bytes.
pub(super) const MAX_PATH: usize = 255;
const MAX_TAG: usize = 128;

pub(super) fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A word character, then up to 127 word characters, dots and dashes.
pub(super) fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut bytes = tag.bytes();
    bytes.next().is_some_and(word)
        && tag.len() <= MAX_TAG
        && bytes.all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// A host name, an IPv4 address or an IPv6 address in brackets, and perhaps `:PORT`.
pub(super) fn is_domain(domain: &str) -> bool {
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = domain.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let address_fits = !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        return address_fits && (port.is_empty() || port.strip_prefix(':').is_some_and(digits));
    }
    let (host, port) = match domain.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (domain, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label) && port.is_none_or(digits)
}

/// Components of lower-case letters and digits, joined inside by `.`, `_`, `__` or dashes, and by `/` outside.
pub(super) fn is_path(path: &str) -> bool {
    path.split('/').all(is_component)
}

fn is_component(component: &str) -> bool {
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    if !bytes.first().is_some_and(alnum) || !bytes.last().is_some_and(alnum) {
        return false;
    }
    bytes.split(alnum).all(|separator| match separator {
        [] | b"." | b"_" | b"__" => true,
        dashes => dashes.iter().all(|b| *b == b'-'),
    })
}

/// The digest of `whole`, whose text after the `@` is `text`.
pub(super) fn digest(text: &str, whole: &str) -> Result<Digest, ImageError> {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return Err(ImageError::InvalidReference(format!("invalid reference format: \"{whole}\"")));
    };
    if algorithm != "sha256" {
        return Err(ImageError::InvalidReference(format!(
            "unsupported digest algorithm \"{algorithm}\" in \"{whole}\": only sha256 is supported"
        )));
    }
    Digest::from_hex(hex).map_err(|_| {
        ImageError::InvalidReference(format!(
            "invalid reference format: invalid checksum digest in \"{whole}\""
        ))
    })
}
