//! Makes hostile text harmless for where it is going. HTML is escaped by the templates; this module has the rest.
//!
//! Names are people's own: natural right-to-left text, accents, emoji and joiners inside them stay as they are. Only
//! what changes how *other* text is shown or read is made visible.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// True for characters that move a cursor, start an escape sequence, end a line or reorder what follows.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Text for a terminal or a log line: every steering character is shown as `\u{…}`.
pub fn terminal(text: &str) -> String {
    if !text.chars().any(steers) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 16), |mut out, c| {
        if steers(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        out
    })
}

/// How many columns a text takes in a terminal.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Cuts a text to so many columns, with `…` where something is missing. Never in the middle of a character, and at
/// most a handful of combining marks on one letter.
pub fn cut(text: &str, columns: usize) -> String {
    const MARKS_MAX: usize = 4;
    let mut out = String::new();
    let (mut used, mut marks) = (0, 0);
    for c in text.chars() {
        let wide = UnicodeWidthChar::width(c).unwrap_or(0);
        marks = if wide == 0 { marks + 1 } else { 0 };
        if marks > MARKS_MAX {
            continue;
        }
        if used + wide > columns {
            while used + 1 > columns && !out.is_empty() {
                used -= out.pop().and_then(UnicodeWidthChar::width).unwrap_or(0);
            }
            if columns > 0 {
                out.push('…');
            }
            break;
        }
        out.push(c);
        used += wide;
    }
    out
}

/// A value for a spreadsheet cell: an apostrophe goes before anything that a spreadsheet would take for a formula
/// (OWASP ASVS 1.2.10, with the full-width forms). The CSV writer does the quoting.
pub fn cell(text: &str) -> String {
    let risky = text.chars().next().is_some_and(|c| {
        matches!(
            c,
            '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\0' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}'
        )
    });
    let clean: String =
        text.chars().map(|c| if steers(c) && !matches!(c, '\t' | '\r' | '\n') { '\u{fffd}' } else { c }).collect();
    if risky { format!("'{clean}") } else { clean }
}

/// A number with its thousands apart: `9,412`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The short form of a digest: `7f3a…c1`.
pub fn short_digest(digest: &str) -> String {
    match (digest.get(..4), digest.len().checked_sub(2).and_then(|at| digest.get(at..))) {
        (Some(head), Some(tail)) if digest.len() > 8 => format!("{head}…{tail}"),
        _ => digest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_that_steers_a_terminal_comes_through() {
        for bad in ["\x1b[2J", "\x1b]0;t\x07", "\u{9b}31m", "a\r\nb", "\u{202e}gpj.exe", "x\u{2028}y", "\u{85}"] {
            let out = terminal(bad);
            assert!(!out.chars().any(steers), "{out:?}");
            assert!(out.contains("\\u{"), "{out:?} should show what was there");
        }
    }

    #[test]
    fn peoples_names_stay_as_they_are() {
        for name in ["O'Brien", "Zoë", "花子", "محمد", "👩‍👩‍👧", "Łukasz"] {
            assert_eq!(terminal(name), name);
            assert_eq!(cell(name), name);
        }
    }

    #[test]
    fn cells_never_start_a_formula() {
        for bad in ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠x"] {
            assert!(cell(bad).starts_with('\''), "{bad:?}");
        }
    }

    #[test]
    fn numbers_and_digests_read_well() {
        assert_eq!(
            (number(0).as_str(), number(999).as_str(), number(9412).as_str(), number(1_000_000).as_str()),
            ("0", "999", "9,412", "1,000,000")
        );
        assert_eq!(short_digest("7f3a00000000c1"), "7f3a…c1");
    }

    proptest! {
        #[test]
        fn cutting_keeps_within_the_columns(text in "\\PC*", columns in 0usize..40) {
            prop_assert!(width(&cut(&text, columns)) <= columns.max(1));
        }

        #[test]
        fn a_terminal_gets_no_steering_character_from_any_text(text in ".*") {
            prop_assert!(!terminal(&text).chars().any(steers));
        }
    }
}
