//! A PACS of somebody else that speaks SCIM, for a part of the people. Talks to it past the program.

use std::io::{Read, Write};
use std::net::TcpStream;

use lockstep_testbed::scim::{ScimKind, ScimServer};
use serde_json::{Value, json};

/// The world of the server that is used.
const WORLD: &str = "annex";

pub(crate) struct Annex(ScimServer);

impl Annex {
    /// `None` when the server is not installed.
    pub(crate) fn start() -> Option<Self> {
        ScimServer::start(ScimKind::Scimmy).expect("the server starts").map(Self)
    }

    pub(crate) fn url(&self) -> String {
        self.0.url(WORLD)
    }

    pub(crate) fn token(&self) -> &str {
        &self.0.token
    }

    /// Makes an empty group, and returns its id.
    pub(crate) fn add_group(&self, name: &str) -> String {
        let schema = "urn:ietf:params:scim:schemas:core:2.0:Group";
        let made = self.ask("POST", "/Groups", &json!({"schemas": [schema], "displayName": name}).to_string());
        made["id"].as_str().unwrap_or_else(|| panic!("no group was made: {made}")).to_owned()
    }

    /// The user names of the members of a group.
    pub(crate) fn members(&self, group: &str) -> Vec<String> {
        let group = self.ask("GET", &format!("/Groups/{group}"), "");
        let members = group["members"].as_array().into_iter().flatten();
        let mut names: Vec<String> = members
            .map(|member| {
                let id = member["value"].as_str().expect("an id");
                self.ask("GET", &format!("/Users/{id}"), "")["userName"].as_str().expect("a name").to_owned()
            })
            .collect();
        names.sort_unstable();
        names
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.0.port())).expect("the server listens");
        let request = format!(
            "{method} {}{path} HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             content-type: application/scim+json\r\ncontent-length: {}\r\n\r\n{body}",
            self.0.base_path(WORLD),
            self.0.token,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}
