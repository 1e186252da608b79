//! Identifiers: 64 hexadecimal digits from the kernel's random numbers (getrandom(2)).

/// A new one.
pub fn random() -> String {
    let mut bytes = [0u8; 32];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // With no flags it blocks until the kernel has gathered entropy, once after boot, and cannot fail.
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()).unwrap_or(0);
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Its first twelve digits, as people see it.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Whether it has the form of a whole identifier.
pub fn is_full(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
