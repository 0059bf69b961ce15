//! Everything that goes wrong in a sweep, by name. This module must not judge.

use lockstep_conformance::Trouble;

use crate::edit::Edit;
use crate::message::Reply;
use crate::server::Mishap;
use crate::vendor::{Purpose, Vendor};

/// One way in which a request goes wrong.
pub(super) struct Strike {
    /// Its name.
    pub(super) name: &'static str,
    /// What happens.
    pub(super) mishap: Mishap,
    /// Whether everything after it goes wrong in the same way, too.
    pub(super) lasting: bool,
    /// Whether the call can only end by its own time limit.
    pub(super) silent: bool,
    /// Whether the answer does not arrive at all, or not whole.
    pub(super) broken_wire: bool,
    /// Whether every value in the answer may be another one than the server has: what is read then proves nothing.
    pub(super) lies: bool,
}

impl Strike {
    const fn once(name: &'static str, mishap: Mishap) -> Self {
        Self { name, mishap, lasting: false, silent: false, broken_wire: false, lies: false }
    }

    fn lasting(name: &'static str, mishap: Mishap) -> Self {
        Self { lasting: true, ..Self::once(name, mishap) }
    }

    fn wire(name: &'static str, mishap: Mishap, silent: bool) -> Self {
        Self { broken_wire: true, silent, ..Self::once(name, mishap) }
    }

    /// One surprise in an otherwise right answer.
    pub(super) fn surprise(nth: usize) -> Self {
        Self { lies: true, ..Self::once("a surprise in the answer", Mishap::Edited(Edit::Surprise(nth))) }
    }
}

fn page(status: u16) -> Reply {
    Reply::text(status, "text/html", "<!DOCTYPE html><html><body><h1>Please log in</h1></body></html>")
}

fn wait(status: u16) -> Reply {
    page(status).header("retry-after", "7")
}

fn to(decoy: &str, status: u16) -> Reply {
    Reply::empty(status).header("location", format!("{decoy}/elsewhere"))
}

/// What can go wrong with the request of that number and that purpose.
pub(super) fn strikes(vendor: &impl Vendor, nth: usize, purpose: Purpose, decoy: &str) -> Vec<Strike> {
    let body = |text: &str| Mishap::Edited(Edit::Body(text.as_bytes().to_vec()));
    let instead = |status| Mishap::Instead(page(status));
    let mut all = vec![
        Strike::wire("the answer is lost", Mishap::LostAnswer, false),
        Strike::wire("the request is lost", Mishap::LostRequest, false),
        Strike::wire("the answer is cut", Mishap::Cut, false),
        Strike::wire("landed, and silence", Mishap::LandedSilence, true),
        Strike::wire("not landed, and silence", Mishap::Silence, true),
        Strike { silent: true, ..Strike::once("a byte now and then", Mishap::Drip) },
        Strike::once("429", instead(429)),
        Strike::once("429 with Retry-After", Mishap::Instead(wait(429))),
        Strike::lasting("a storm of 429", Mishap::Instead(wait(429))),
        Strike::once("503", instead(503)),
        Strike::once("503 with Retry-After", Mishap::Instead(wait(503))),
        Strike::lasting("a storm of 503", instead(503)),
        Strike::once("503, and landed", Mishap::LandedThen(page(503))),
        Strike::once("401 once", instead(401)),
        Strike::lasting("401 for good", instead(401)),
        Strike::once("403 once", instead(403)),
        Strike::lasting("403 for good", instead(403)),
        Strike::once("404 by a gateway", instead(404)),
        Strike::lasting("404 by a gateway, for good", instead(404)),
        Strike::once("500, not landed", instead(500)),
        Strike::once("500, and landed", Mishap::LandedThen(page(500))),
        Strike::once("a log-in page", instead(200)),
        Strike::once("a log-in page, and landed", Mishap::LandedThen(page(200))),
        Strike::once("204 without a body", Mishap::Instead(Reply::empty(204))),
        Strike::once("another content type", Mishap::Edited(Edit::Media("application/pdf"))),
        Strike::once("an empty body", body("")),
        Strike::once("half a body", Mishap::Edited(Edit::Half)),
        Strike::once("two bodies", Mishap::Edited(Edit::Doubled)),
        Strike::once("no document", body("\u{1}\u{2}garbage")),
        Strike::once("an empty object", body("{}")),
        Strike::once("null", body("null")),
        Strike::once("an empty element", body("<empty/>")),
        Strike::once("a document type", body("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>")),
        Strike::once("a redirect", Mishap::Instead(to(decoy, 302))),
        Strike::once("a redirect that keeps the method", Mishap::Instead(to(decoy, 307))),
        Strike::once("links to another host", Mishap::Edited(Edit::Elsewhere(decoy.to_owned()))),
    ];
    if nth == 0 && purpose == Purpose::List {
        all.push(Strike { silent: true, ..Strike::once("an answer without end", Mishap::Flood) });
    }
    for (trouble, once, lasting) in [
        (Trouble::Deny, "the vendor denies once", "the vendor denies for good"),
        (Trouble::Unauthenticated, "the vendor does not know us once", "the vendor does not know us any more"),
        (Trouble::Throttle, "the vendor throttles once", "the vendor throttles for good"),
    ] {
        if vendor.cannot(trouble).is_none() {
            all.push(Strike::once(once, Mishap::Trouble(trouble)));
            all.push(Strike::lasting(lasting, Mishap::Trouble(trouble)));
        }
    }
    if purpose == Purpose::Write && vendor.cannot(Trouble::Refuse).is_none() {
        all.push(Strike::once("the vendor refuses", Mishap::Trouble(Trouble::Refuse)));
    }
    all
}
