//! Secrets in environment variables. The weakest place: other programs of the same account can read them.

use std::ffi::OsString;

use lockstep_contract::Secret;
use zeroize::Zeroize as _;

pub(super) fn get(value: Option<OsString>, name: &str) -> Result<Secret, String> {
    let Some(value) = value else {
        return Err(format!(
            "environment variable {name} is not set; set it where Lockstep is started, or use file:PATH"
        ));
    };
    let mut text =
        value.into_string().map_err(|_| format!("environment variable {name} holds bytes that are no UTF-8 text"))?;
    let secret = super::checked(&text);
    text.zeroize();
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_taken_as_it_is_and_must_be_there() {
        assert_eq!(get(Some("s3cret".into()), "PW").expect("secret").expose(), "s3cret");
        assert!(get(None, "PW").expect_err("unset").contains("PW is not set"));
        assert!(get(Some("".into()), "PW").is_err());
    }
}
