//! Shortens what would not fit a column.

/// `text` in at most `width` columns of a terminal, an ellipsis at its end if something was cut.
pub fn ellipsis(text: &str, width: usize) -> String {
    let total: usize = text.chars().map(columns).sum();
    if total <= width {
        return text.to_owned();
    }
    // One column has no room for a character and the ellipsis; Docker then shows the character.
    if width <= 1 {
        return text.chars().take(width).collect();
    }
    let mut used = 0;
    let kept: String = text
        .chars()
        .take_while(|c| {
            used += columns(*c);
            used < width
        })
        .collect();
    kept + "…"
}

/// The first 12 characters of an ID, without the name of its digest's algorithm.
pub fn short_id(id: &str) -> &str {
    let id = id.split_once(':').map_or(id, |(_, digest)| digest);
    id.char_indices().nth(12).and_then(|(end, _)| id.get(..end)).unwrap_or(id)
}

/// How many columns a character takes: two if it is wide (Unicode's East Asian Width, annex 11), else one.
fn columns(c: char) -> usize {
    let wide = matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0x33ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff
        | 0xa000..=0xa4cf | 0xa960..=0xa97f | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
        | 0xff01..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f900..=0x1f9ff | 0x20000..=0x3fffd);
    1 + usize::from(wide)
}

#[cfg(test)]
mod tests {
    use super::{ellipsis, short_id};

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        for (text, width, expected) in [
            ("t🐳ststring", 0, ""),
            ("teststring", 1, "t"),
            ("teststring", 3, "te…"),
            ("teststring", 10, "teststring"),
            ("teststring", 20, "teststring"),
            ("/docker-entrypoint.sh nginx", 20, "/docker-entrypoint.…"),
            ("你好世界", 3, "你…"),
            ("你好世界", 6, "你好…"),
            ("你好世界", 8, "你好世界"),
            ("", 3, ""),
        ] {
            assert_eq!(ellipsis(text, width), expected, "{text} {width}");
        }
    }

    #[test]
    fn an_id_is_twelve_characters() {
        assert_eq!(short_id("sha256:4c01db0b339c0123456789"), "4c01db0b339c");
        assert_eq!(short_id("4c01db0b339c0123456789"), "4c01db0b339c");
        assert_eq!(short_id("abc"), "abc");
    }
}
