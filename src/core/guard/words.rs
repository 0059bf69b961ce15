//! Numbers as people read them.

/// `4100` as `4,100`.
pub(super) fn number(n: u64) -> String {
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

/// `212 of 4,100 people (5.2 %)`; without the percentage when there is no whole.
pub(super) fn share(part: u64, whole: u64, noun: &str) -> String {
    if whole == 0 {
        return format!("{} of {} {noun}", number(part), number(whole));
    }
    let permille = u128::from(part) * 1000 / u128::from(whole);
    format!("{} of {} {noun} ({}.{} %)", number(part), number(whole), permille / 10, permille % 10)
}

/// `1 person`, `2 people`.
pub(super) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let groups = [0, 12, 999, 1_000, 4_100, 999_999, 1_234_567].map(number);
        assert_eq!(groups, ["0", "12", "999", "1,000", "4,100", "999,999", "1,234,567"]);
        assert_eq!(share(212, 4_100, "people"), "212 of 4,100 people (5.1 %)");
        assert_eq!(share(3, 0, "people"), "3 of 0 people");
        assert_eq!(count(1, "person", "people"), "1 person");
    }
}
