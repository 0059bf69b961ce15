//! A connector to the toy vendor, honest but for the bug that was planted.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use async_trait::async_trait;
use lockstep_contract::{
    AccessLevel, AccessLevelId, Action, ApplyFault, Capabilities, Cardholder, CardholderId, Catalog, Census,
    CorrelationKey, CorrelationKeys, CredentialSupport, Cursor, Cx, Enforcement, Fault, FaultKind, FieldName,
    FieldRule, Granularity, Health, KeyKind, Next, Opening, Page, Profile, Receipt, Reduction, Secret, SecretRef,
    Status, Step, Subject, Suspend, Target, TargetId, TargetInfo, TargetReader, Validity, field,
};
use lockstep_http::{Answer, Auth, Call, CallFault, Client, Effect, Method, Request, Settings, Url};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::vendor::KEY;

/// What is wrong with a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    Nothing,
    /// A create whose answer is lost is sent once more.
    CreatesAgain,
    /// An answer that broke off passes for a yes.
    BelievesHalfAnAnswer,
    /// Forbidden passes for "nobody".
    NobodyWhenDenied,
    /// Any 404 passes for "not there".
    BelievesAnyMissing,
    /// A list without people passes for an empty one.
    NobodyWhenUnsaid,
    /// Goes wherever a link leads, key and all.
    FollowsLinks,
    /// The second request of an action fails, and the action passes for refused.
    ForgetsTheFirstHalf,
    /// A server error passes for a refusal.
    TakesErrorsForRefusals,
    /// Faults repeat the key.
    TellsTheKey,
    /// A change of levels overwrites a field.
    OverwritesTheTitle,
    /// A field that is missing is not survived.
    PanicsOnSurprise,
    /// A list that stops early is the list.
    StopsAtAFault,
}

pub(crate) struct ToyTarget {
    info: TargetInfo,
    client: Client,
    bug: Bug,
}

/// Opens a connector with that bug.
pub(crate) fn open(bug: Bug, id: TargetId, root: &str, opening: &Opening<'_>) -> Result<Box<dyn Target>, Fault> {
    let base =
        lockstep_http::checked_base(root).map_err(|e| Fault::new(FaultKind::Invalid, "toy", "open", e.to_string()))?;
    let key = opening.secrets.get(&SecretRef::Env("TOY_KEY".into()));
    let value: Secret = key.map_err(|e| Fault::new(FaultKind::Invalid, "toy", "open", e.to_string()))?;
    let client = Client::open(id.as_str(), base, Auth::Header { name: "x-key", value }, Settings::default())?;
    let field = |name| (FieldName::known(name), FieldRule::default());
    let capabilities = Capabilities {
        granularity: Granularity::Step,
        suspend: Suspend::CardholderFlag,
        credentials: CredentialSupport::None,
        validity: false,
        revision: false,
        idempotency: false,
        keys: [KeyKind::Employee].into(),
        fields: [field(field::DISPLAY_NAME), field(field::TITLE)].into(),
        enforcement: Enforcement::Database,
        in_flight_max: NonZeroU32::MIN,
        requests_per_minute: None,
    };
    let fingerprint = root.to_owned();
    let info = TargetInfo { id, kind: "toy".into(), endpoint: root.to_owned(), fingerprint, capabilities };
    Ok(Box::new(ToyTarget { info, client, bug }))
}

impl ToyTarget {
    fn url(&self, path: &str) -> Url {
        self.client.base().join(path).expect("a path")
    }

    fn fault(&self, kind: FaultKind, message: &str) -> Fault {
        let key = if self.bug == Bug::TellsTheKey { KEY } else { "" };
        Fault::new(kind, "toy", "talk", format!("{message}{key}"))
    }

    fn spoilt(&self, call: CallFault) -> CallFault {
        let fault = self.fault(call.fault.kind, &call.fault.message);
        let fault = Fault { retry_after: call.fault.retry_after, ..fault };
        CallFault { fault: Box::new(fault), ..call }
    }

    async fn get(&self, cx: &Cx, url: Url) -> Result<Answer, CallFault> {
        let call = self.client.call(cx);
        call.send(Request::get(url, "application/json", "read")).await.map_err(|call| self.spoilt(call))
    }

    fn person(&self, value: &Value) -> Result<Cardholder, Fault> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let all = (|| {
            let profile = [(field::DISPLAY_NAME, text("name")?), (field::TITLE, text("title")?)];
            let levels = value["levels"].as_array()?.iter();
            let levels = levels.map(|level| AccessLevelId::new(level.as_str()?).ok()).collect::<Option<_>>()?;
            let key = CorrelationKey::new(KeyKind::Employee, &text("employee")?).ok()?;
            Some(Cardholder {
                id: CardholderId::new(text("id")?).ok()?,
                keys: CorrelationKeys::from_iter([key]),
                profile: Profile::from_iter(profile.map(|(name, value)| (FieldName::known(name), value))),
                status: if value["active"].as_bool()? { Status::Active } else { Status::Suspended },
                levels,
                credentials: Vec::new(),
                validity: Validity::ALWAYS,
                site: None,
                revision: None,
            })
        })();
        assert!(all.is_some() || self.bug != Bug::PanicsOnSurprise, "an unexpected answer");
        all.ok_or_else(|| self.fault(FaultKind::Protocol, "this is no person"))
    }

    fn people(&self, value: &Value) -> Result<Vec<Cardholder>, Fault> {
        match value["people"].as_array() {
            Some(people) => people.iter().map(|one| self.person(one)).collect(),
            None if self.bug == Bug::NobodyWhenUnsaid => Ok(Vec::new()),
            None => Err(self.fault(FaultKind::Protocol, "people are not mentioned")),
        }
    }

    async fn page(&self, cx: &Cx, at: Option<&str>) -> Result<Value, Fault> {
        let link = at.unwrap_or("/people?page=0");
        if self.bug == Bug::FollowsLinks && !link.starts_with(self.client.base().as_str()) && link.starts_with("http") {
            return Ok(visit(link).await);
        }
        let url = lockstep_http::same_origin(self.client.base(), link);
        let url = url.map_err(|error| self.fault(FaultKind::Protocol, &error.to_string()))?;
        Ok(self.get(cx, url).await?.success()?.json()?)
    }

    async fn send(&self, call: &Call<'_>, method: Method, path: &str, body: &Value) -> Result<Value, CallFault> {
        let request = Request {
            method,
            body: Some(body.to_string().into_bytes()),
            ..Request::get(self.url(path), "application/json", "write")
        };
        let answer = call.send(request).await.map_err(|call| self.spoilt(call))?;
        answer.success().and_then(|answer| answer.json())
    }

    /// The bodies of the requests that carry out the steps on a record that is there.
    fn bodies(&self, steps: &[&Step]) -> Vec<Value> {
        let (mut add, mut remove, mut fields) = (Vec::new(), Vec::new(), serde_json::Map::new());
        for step in steps {
            match step {
                Step::Reduce(Reduction::Suspend) => _ = fields.insert("active".into(), false.into()),
                Step::Reinstate => _ = fields.insert("active".into(), true.into()),
                Step::Reduce(Reduction::Revoke { level }) => remove.push(level.as_str().to_owned()),
                Step::Grant { level } => add.push(level.as_str().to_owned()),
                Step::Amend { profile } => {
                    fields.extend(profile.get(field::TITLE).map(|title| ("title".to_owned(), title.into())));
                }
                Step::Provision { .. }
                | Step::Reduce(Reduction::Deactivate { .. } | Reduction::Narrow { .. })
                | Step::Widen { .. }
                | Step::Activate { .. } => {}
            }
        }
        let mut bodies = Vec::new();
        if !add.is_empty() || !remove.is_empty() {
            if self.bug == Bug::OverwritesTheTitle {
                bodies.push(json!({"title": "Lockstep was here"}));
            }
            bodies.push(json!({"add": add, "remove": remove}));
        }
        if !fields.is_empty() {
            bodies.push(Value::Object(fields));
        }
        bodies
    }

    async fn create(&self, call: &Call<'_>, profile: &Profile, keys: &CorrelationKeys) -> Result<String, CallFault> {
        let employee = keys.of(KeyKind::Employee).next().map(CorrelationKey::value);
        let body = json!({
            "employee": employee, "name": profile.get(field::DISPLAY_NAME), "title": profile.get(field::TITLE),
        });
        let mut made = self.send(call, Method::POST, "/people", &body).await;
        if self.bug == Bug::CreatesAgain && made.as_ref().is_err_and(|call| call.effect == Effect::Uncertain) {
            made = self.send(call, Method::POST, "/people", &body).await;
        }
        let made = made?;
        made["id"].as_str().map(str::to_owned).ok_or_else(|| {
            CallFault::new(Effect::Uncertain, None, self.fault(FaultKind::Protocol, "no id of the new person"))
        })
    }

    fn failed(&self, call: CallFault, began: bool) -> ApplyFault {
        match call.effect {
            Effect::Uncertain if self.bug == Bug::TakesErrorsForRefusals && call.status.is_some() => {
                ApplyFault::Refused(*call.fault)
            }
            _ if began && self.bug != Bug::ForgetsTheFirstHalf => ApplyFault::Uncertain(*call.fault),
            _ => call.into_apply(),
        }
    }
}

/// Goes where a link leads, and shows the key there.
async fn visit(link: &str) -> Value {
    let Ok(url) = Url::parse(link) else { return Value::Null };
    let address = format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(80));
    if let Ok(mut stream) = tokio::net::TcpStream::connect(address).await {
        let text = format!("GET {} HTTP/1.1\r\nx-key: {KEY}\r\n\r\n", url.path());
        let _ = stream.write_all(text.as_bytes()).await;
        // The other side has heard it when it hangs up.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    Value::Null
}

#[async_trait]
impl TargetReader for ToyTarget {
    fn info(&self) -> &TargetInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.catalog(cx).await.map(|_| Health::default())
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        let answer = self.get(cx, self.url("/levels")).await?.success()?.json()?;
        let levels = answer["levels"].as_array().cloned();
        let named = |level: &Value| {
            let id = AccessLevelId::new(level["id"].as_str()?).ok()?;
            Some((id, AccessLevel { name: level["name"].as_str()?.to_owned(), ..AccessLevel::default() }))
        };
        let levels = levels.and_then(|levels| levels.iter().map(named).collect::<Option<BTreeMap<_, _>>>());
        let levels = levels.ok_or_else(|| self.fault(FaultKind::Protocol, "these are no levels"))?;
        Ok(Catalog { levels })
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        let later = at.is_some();
        let answer = match self.page(cx, at.as_ref().map(|at| at.0.as_str())).await {
            Err(_) if later && self.bug == Bug::StopsAtAFault => {
                return Ok(Page { items: Vec::new(), next: Next::End(Census { sent: 10, server_total: None }) });
            }
            answer => answer?,
        };
        let items = self.people(&answer)?;
        let total = answer["total"].as_u64();
        let next = match answer["next"].as_str() {
            Some(next) => Next::More(Cursor(next.to_owned())),
            None => Next::End(Census { sent: total.unwrap_or_default(), server_total: total }),
        };
        Ok(Page { items, next })
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        let mut url = self.url("/people");
        url.query_pairs_mut().append_pair("employee", key.value());
        let answer = self.get(cx, url).await?;
        if answer.status() == 403 && self.bug == Bug::NobodyWhenDenied {
            return Ok(Vec::new());
        }
        let found = self.people(&answer.success()?.json()?)?;
        Ok(found.into_iter().filter(|record| record.keys.contains(key)).collect())
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        let answer = self.get(cx, self.url(&format!("/people/{id}"))).await?;
        if answer.status() == 404 {
            let said = answer.json().is_ok_and(|said| said["error"] == "no such person");
            if said || self.bug == Bug::BelievesAnyMissing {
                return Ok(None);
            }
            return Err(self.fault(FaultKind::Protocol, "something else answers there"));
        }
        let record = self.person(&answer.success()?.json()?)?;
        if record.id == *id { Ok(Some(record)) } else { Err(self.fault(FaultKind::Protocol, "somebody else")) }
    }
}

#[async_trait]
impl Target for ToyTarget {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        let call = self.client.call(cx);
        let steps: Vec<&Step> = action.steps.iter().collect();
        let mut began = false;
        let id = match &action.subject {
            Subject::Existing(id) => id.as_str().to_owned(),
            Subject::New(_) => {
                let made = steps.iter().find_map(|step| {
                    if let Step::Provision { profile, keys } = step { Some((profile, keys)) } else { None }
                });
                let Some((profile, keys)) = made else {
                    return Err(ApplyFault::NotSent(self.fault(FaultKind::Invalid, "nothing to make")));
                };
                began = true;
                self.create(&call, profile, keys).await.map_err(|call| self.failed(call, false))?
            }
        };
        let cardholder = CardholderId::new(id.clone())
            .map_err(|_| ApplyFault::Uncertain(self.fault(FaultKind::Protocol, "an id that is none")))?;
        for body in self.bodies(&steps) {
            let done = self.send(&call, Method::PATCH, &format!("/people/{id}"), &body).await;
            match done {
                Ok(person) => {
                    self.person(&person).map_err(ApplyFault::Uncertain)?;
                }
                Err(call) if self.bug == Bug::BelievesHalfAnAnswer && call.status.is_none() => {}
                Err(call) => return Err(self.failed(call, began)),
            }
            began = true;
        }
        Ok(Receipt { cardholder, enforced: Enforcement::Database })
    }
}
