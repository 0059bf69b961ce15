//! Links that a hostile peer might send, as a table, and the property behind the table.

use proptest::prelude::*;

use super::*;

const BASE: &str = "https://pacs.example:8443/scim/v2/";

/// Link, and where it leads when it is accepted.
const ACCEPTED: &[(&str, &str)] = &[
    ("https://pacs.example:8443/scim/v2/Users?x=1", "https://pacs.example:8443/scim/v2/Users?x=1"),
    ("HTTPS://PACS.EXAMPLE:8443/a", "https://pacs.example:8443/a"),
    ("Users?startIndex=2", "https://pacs.example:8443/scim/v2/Users?startIndex=2"),
    ("/Users", "https://pacs.example:8443/Users"),
    ("?cursor=abc", "https://pacs.example:8443/scim/v2/?cursor=abc"),
    ("../Users", "https://pacs.example:8443/scim/Users"),
    ("../../../../etc", "https://pacs.example:8443/etc"),
    ("//pacs.example:8443/a", "https://pacs.example:8443/a"),
    ("https://pacs.example:8443", "https://pacs.example:8443/"),
    ("https://pacs.example:08443/a", "https://pacs.example:8443/a"),
    ("./Users#top", "https://pacs.example:8443/scim/v2/Users"),
    ("/a//evil.example/b", "https://pacs.example:8443/a//evil.example/b"),
    ("Users?next=https://evil.example/", "https://pacs.example:8443/scim/v2/Users?next=https://evil.example/"),
    ("/@evil.example/", "https://pacs.example:8443/@evil.example/"),
    ("Users?mail=a@b.example", "https://pacs.example:8443/scim/v2/Users?mail=a@b.example"),
    ("evil.example", "https://pacs.example:8443/scim/v2/evil.example"),
    ("/Users?filter=userName%20eq%20%22x%22", "https://pacs.example:8443/Users?filter=userName%20eq%20%22x%22"),
];

const REFUSED: &[&str] = &[
    "https://evil.example/",
    "https://evil.example:8443/scim/v2/Users",
    "https://pacs.example/scim/v2/Users",
    "https://pacs.example:443/scim/v2/Users",
    "https://pacs.example:8444/scim/v2/Users",
    "https://pacs.example:84430/",
    "https://pacs.example:/scim",
    "http://pacs.example:8443/scim/v2/Users",
    "HTTP://pacs.example:8443/",
    "ws://pacs.example:8443/",
    "ftp://pacs.example:8443/",
    "file:///etc/passwd",
    "file://pacs.example/etc/passwd",
    "javascript:alert(1)",
    "data:text/plain,x",
    "gopher://pacs.example:8443/",
    "https://user@pacs.example:8443/",
    "https://user:password@pacs.example:8443/",
    "https://@pacs.example:8443/",
    "https://:@pacs.example:8443/",
    "https://pacs.example:8443@evil.example/",
    "https://pacs.example@evil.example:8443/",
    "https://pacs.example%40evil.example:8443/",
    "https://pacs.example:8443%2f@evil.example/",
    "https://pacs.example.evil.example:8443/",
    "https://pacs.example.:8443/",
    "https://pacs-example:8443/",
    "https://xpacs.example:8443/",
    "https://pacs.exampl:8443/",
    "https://pacs.example\u{0}.evil.example:8443/",
    "https://pacs.example:8443\\@evil.example/",
    "https:\\\\evil.example\\",
    "\\\\evil.example\\a",
    "/\\evil.example/a",
    "\\/evil.example/a",
    "//evil.example/scim",
    "//evil.example:8443/scim",
    "///evil.example:8443/scim",
    "////evil.example/scim",
    "https:///evil.example/",
    "https:/evil.example/",
    "https:evil.example",
    "https:pacs.example:8443/",
    "https:Users",
    "https://[::1]:8443/",
    "https://[::ffff:127.0.0.1]:8443/",
    "https://127.0.0.1:8443/",
    "https://2130706433:8443/",
    "https://0x7f.1:8443/",
    "https://0177.0.0.1:8443/",
    "https://169.254.169.254/latest/meta-data/",
    "https://p\u{430}cs.example:8443/",
    "https://xn--pcs-5cd.example:8443/",
    "https://pacs\u{3002}evil:8443/",
    "https://\u{ff50}acs.example.evil:8443/",
    "https://p%61cs.example:8443/",
    "https://%70acs.example:8443/",
    " https://pacs.example:8443/",
    "https://pacs.example:8443/ ",
    "https://pacs.example:8443/\r\nHost: evil.example",
    "ht\ntps://evil.example/",
    "\thttps://evil.example/",
    "https://evil.example#@pacs.example:8443/",
    "https://evil.example?@pacs.example:8443/",
    "https://pacs.example:8443:443/",
    "https://",
    "",
    "blob:https://pacs.example:8443/x",
];

#[test]
fn links_to_the_origin_are_resolved() {
    let base = Url::parse(BASE).expect("base");
    for (link, expect) in ACCEPTED {
        let found = same_origin(&base, link).unwrap_or_else(|error| panic!("{link:?}: {error}"));
        assert_eq!(found.as_str(), *expect, "{link:?}");
    }
}

#[test]
fn links_elsewhere_are_refused() {
    assert!(REFUSED.len() >= 60, "the table lost variants");
    let base = Url::parse(BASE).expect("base");
    for link in REFUSED {
        assert!(same_origin(&base, link).is_err(), "{link:?} was accepted as {:?}", same_origin(&base, link));
    }
}

#[test]
fn a_refusal_does_not_repeat_the_path_or_the_password() {
    let base = Url::parse(BASE).expect("base");
    let error = same_origin(&base, "https://evil.example/path-with-token?token=hunter2").expect_err("elsewhere");
    assert!(!error.to_string().contains("hunter2") && error.to_string().contains("evil.example"), "{error}");
}

#[test]
fn plain_http_is_for_this_machine_only() {
    for address in ["https://pacs.example/v2", "http://127.0.0.1:8080", "http://[::1]:8080/", "http://localhost/v2"] {
        assert!(checked_base(address).is_ok(), "{address}");
    }
    for address in [
        "http://pacs.example/",
        "http://10.0.0.1/",
        "http://localhost.example/",
        "http://0.0.0.0/",
        "ftp://127.0.0.1/",
        "https://u:p@pacs.example/",
        "https://pacs.example/?a=b",
        "https://pacs.example/#a",
        "pacs.example",
        "",
    ] {
        assert!(checked_base(address).is_err(), "{address}");
    }
}

proptest! {
    #[test]
    fn whatever_is_accepted_has_the_origin_of_the_base(link in "(https?:)?[/\\\\]{0,3}(pacs\\.example|evil|@|:8443|:|%40|\\?|#|/|a|\\.){0,8}") {
        let base = Url::parse(BASE).expect("base");
        if let Ok(url) = same_origin(&base, &link) {
            prop_assert_eq!(url.origin(), base.origin());
            prop_assert!(url.username().is_empty() && url.password().is_none());
        }
    }

    #[test]
    fn no_text_makes_it_panic(link in "\\PC{0,64}") {
        let base = Url::parse(BASE).expect("base");
        if let Ok(url) = same_origin(&base, &link) {
            prop_assert_eq!(url.origin(), base.origin());
        }
    }
}
