//! Characters of a text that do something instead of being read.

/// Whether a terminal obeys it (control characters), or it turns the direction of what follows, and so makes a name look
/// like another.
pub fn steers(sign: char) -> bool {
    sign.is_control() || matches!(sign, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
