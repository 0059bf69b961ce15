//! Texts of a peer made safe to show: cut, escaped, and without our secrets. This module must not judge them.

use crate::Secret;
use crate::id::invisible;

/// Characters of a peer's text that are shown.
const SHOWN_MAX: usize = 160;

/// A text of a peer: on one line, with control and invisible characters escaped, cut, and with every one of `secrets`
/// blotted out, in case the peer repeats what it was sent.
pub fn quote(text: &str, secrets: &[Secret]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if !secret.expose().is_empty() {
            text = text.replace(secret.expose(), "…");
        }
    }
    let mut shown = String::new();
    for (count, c) in text.trim().chars().enumerate() {
        if count == SHOWN_MAX {
            shown.push('…');
            break;
        }
        if invisible(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_paint_the_terminal_or_repeat_a_secret() {
        let secret = Secret::new("hunter2".into());
        let shown = quote("bad token hunter2\r\n\u{1b}[2J\u{202e}gpj", &[secret]);
        assert_eq!(shown, "bad token …\\u{d}\\u{a}\\u{1b}[2J\\u{202e}gpj");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(quote(&"x".repeat(5_000), &[]).chars().count(), SHOWN_MAX + 1);
    }
}
