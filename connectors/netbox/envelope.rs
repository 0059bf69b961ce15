//! Commands and answers of NBAPI as documents. This module must not send, and has no way to write a bare list of access
//! levels, which would replace every level that somebody has.

use lockstep_contract::Secret;

use crate::xml::{Element, Writer};

/// One command with its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    /// Its name in NBAPI.
    pub(crate) name: &'static str,
    /// What we are doing, for faults: `read person 7`.
    pub(crate) operation: String,
    params: Vec<(&'static str, String)>,
    levels: Vec<LevelEdit>,
    /// What must not stand in any fault of this command.
    pub(crate) secrets: Vec<Secret>,
}

/// One access level to be given or taken; all others stay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LevelEdit {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is taken.
    pub(crate) delete: bool,
}

impl Command {
    pub(crate) fn new(name: &'static str, operation: impl Into<String>) -> Self {
        Self { name, operation: operation.into(), params: Vec::new(), levels: Vec::new(), secrets: Vec::new() }
    }

    /// With one more parameter.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.params.push((name, value.into()));
        self
    }

    /// With a parameter that must not stand in any fault.
    #[must_use]
    pub(crate) fn with_secret(mut self, name: &'static str, value: &Secret) -> Self {
        self.params.push((name, value.expose().to_owned()));
        self.secrets.push(value.clone());
        self
    }

    /// With edits of access levels, in the form that leaves all others as they are.
    #[must_use]
    pub(crate) fn with_levels(mut self, edits: &[LevelEdit]) -> Self {
        self.levels.extend_from_slice(edits);
        self
    }

    /// The document.
    pub(crate) fn document(&self, session: Option<&Secret>, number: u32) -> String {
        let mut writer = Writer::default();
        let session: Vec<(&str, &str)> = session.iter().map(|id| ("sessionid", id.expose())).collect();
        let number = number.to_string();
        let attributes = [("name", self.name), ("num", &*number), ("dateformat", "tzoffset")];
        writer.wrap_with("NETBOX-API", &session, |api| {
            api.wrap_with("COMMAND", &attributes, |command| {
                command.wrap("PARAMS", |params| self.write_params(params));
            });
        });
        writer.into_text()
    }

    fn write_params(&self, params: &mut Writer) {
        for (name, value) in &self.params {
            params.leaf(name, value);
        }
        if self.levels.is_empty() {
            // What an empty list does, nobody has published.
            return;
        }
        params.wrap("ACCESSLEVELS", |list| {
            for edit in &self.levels {
                list.wrap("ACCESSLEVEL", |level| {
                    level.leaf("ACCESSLEVELNAME", &edit.name);
                    level.leaf("DELETE", if edit.delete { "1" } else { "0" });
                });
            }
        });
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    /// The session, as the root element names it.
    pub(crate) session: Option<String>,
    /// What the answer says.
    pub(crate) says: Says,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Says {
    /// `SUCCESS`, with its details.
    Success(Element),
    /// `FAIL`, with its reason.
    Fail(String),
    /// `NOT FOUND`.
    NotFound,
    /// One of the numbered errors of the interface itself.
    ApiError(u32),
}

/// Takes an answer apart.
///
/// # Errors
/// What is wrong with it, without its content.
pub(crate) fn read(mut root: Element, command: &str, number: u32) -> Result<Response, &'static str> {
    if &*root.name != "NETBOX" {
        return Err("this is no answer of NBAPI: its root is not NETBOX");
    }
    let session = root.attribute("sessionid").filter(|id| !id.is_empty()).map(str::to_owned);
    if let Some(error) = root.text_of("APIERROR") {
        return Ok(Response { session, says: Says::ApiError(error_number(error)?) });
    }
    let mut responses = root.children.iter_mut().filter(|child| &*child.name == "RESPONSE");
    let (Some(response), None) = (responses.next(), responses.next()) else {
        return Err("the answer holds no RESPONSE, or several");
    };
    if let Some(error) = response.text_of("APIERROR") {
        return Ok(Response { session, says: Says::ApiError(error_number(error)?) });
    }
    let named = response.attribute("command");
    if named.is_some_and(|name| name != command) {
        return Err("this is the answer to another command");
    }
    if response.attribute("num").is_some_and(|num| num != number.to_string()) {
        return Err("this is the answer to an earlier command");
    }
    if response.all("DETAILS").count() > 1 || response.all("CODE").count() > 1 {
        return Err("the answer says two things");
    }
    let details = response.children.iter().position(|child| &*child.name == "DETAILS");
    let details = details.map(|at| response.children.swap_remove(at));
    let says = match response.text_of("CODE") {
        Some("SUCCESS") => Says::Success(details.unwrap_or_default()),
        Some("NOT FOUND") => Says::NotFound,
        Some("FAIL") => {
            let reason = details.as_ref().and_then(|details| details.text_of("ERRMSG")).unwrap_or_default();
            if reason.eq_ignore_ascii_case("not found") { Says::NotFound } else { Says::Fail(reason.to_owned()) }
        }
        Some(_) => return Err("the answer has a CODE that NBAPI does not have"),
        None => return Err("the answer has no CODE"),
    };
    Ok(Response { session, says })
}

fn error_number(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "the answer has an APIERROR that is no number")
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
