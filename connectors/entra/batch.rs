//! Several reads in one request. Each is charged, answered and turned away alone, in any order; what was turned away is
//! asked again after the longest wait. This module must not know what is asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use lockstep_contract::FaultKind;
use lockstep_http::{Value, retry_after};
use serde_json::json;
use tokio::time::Instant;

use crate::api::Ask;
use crate::graph::{Place, Refusal, Session, item_refusal};

/// What Graph takes in one request.
pub(crate) const BATCH_MAX: usize = 20;
/// How often an item that was turned away is asked again.
const ROUNDS: u32 = 3;

impl Session<'_> {
    /// Asks all of these. The answers are in the order of the questions.
    pub(crate) async fn many(&self, asks: &[Ask], operation: &str) -> Vec<Result<Value, Refusal>> {
        let mut answers: BTreeMap<usize, Result<Value, Refusal>> = BTreeMap::new();
        let mut waiting: Vec<usize> = (0..asks.len()).collect();
        for round in 0..=ROUNDS {
            for chunk in waiting.chunks(BATCH_MAX) {
                self.chunk(asks, chunk, operation, &mut answers).await;
            }
            let again = |at: &usize| match answers.get(at) {
                Some(Err(refusal)) => matches!(refusal.status, Some(429 | 503 | 504)),
                Some(Ok(_)) | None => false,
            };
            waiting.retain(again);
            let asked_for = waiting.iter().filter_map(|at| answers.get(at)?.as_ref().err()?.fault.retry_after).max();
            let wait = asked_for.unwrap_or(Duration::from_secs(1) * 2_u32.pow(round));
            let late = Instant::now() + wait >= self.deadline();
            if waiting.is_empty() || late || round == ROUNDS || self.check(operation).is_err() {
                break;
            }
            tokio::time::sleep(wait).await;
        }
        let lost = || Err(self.fault(FaultKind::Protocol, operation, "a question got lost").into());
        (0..asks.len()).map(|at| answers.remove(&at).unwrap_or_else(lost)).collect()
    }

    async fn chunk(
        &self,
        asks: &[Ask],
        chunk: &[usize],
        operation: &str,
        answers: &mut BTreeMap<usize, Result<Value, Refusal>>,
    ) {
        let asked: Vec<(usize, &Ask)> = chunk.iter().filter_map(|at| Some((*at, asks.get(*at)?))).collect();
        if let [(at, only)] = asked.as_slice() {
            answers.insert(*at, self.one(only).await);
            return;
        }
        let requests: Vec<Value> = asked
            .iter()
            .map(|(at, ask)| {
                let mut item = json!({"id": at.to_string(), "method": "GET", "url": ask.path});
                if ask.eventual {
                    item["headers"] = json!({"ConsistencyLevel": "eventual"});
                }
                item
            })
            .collect();
        let units = asked.iter().map(|(_, ask)| ask.units).sum();
        match self.post_batch(&json!({"requests": requests}), units, operation).await {
            Ok(mut body) => {
                let mut items = self.items(&mut body, operation).await;
                for (at, ask) in asked {
                    let answer = items.remove(&at.to_string()).unwrap_or_else(|| {
                        let message = "this question of a batch was not answered";
                        Err(self.fault(FaultKind::Unreachable, &ask.operation, message).into())
                    });
                    answers.insert(at, answer.map_err(|refusal| named(refusal, ask)));
                }
            }
            Err(refusal) => {
                for (at, ask) in asked {
                    answers.insert(at, Err(named(refusal.clone(), ask)));
                }
            }
        }
    }

    /// The answers by their ids. That the whole is a success says nothing about them.
    async fn items(&self, body: &mut Value, operation: &str) -> BTreeMap<String, Result<Value, Refusal>> {
        let mut items = BTreeMap::new();
        // Whatever an answer repeats, the token is not shown.
        let secrets = self.secrets().await;
        let list = body.get_mut("responses").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
        for mut item in list {
            let Some(id) = item.get("id").and_then(Value::as_str).map(str::to_owned) else { continue };
            let status = item.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
            let wait = header(&item, "retry-after").and_then(|text| retry_after(&text, jiff::Timestamp::now()));
            let body = item.get_mut("body").map(Value::take).unwrap_or_default();
            let answer = match status {
                Some(200..=299) if body.is_object() => Ok(body),
                Some(status @ 200..=299) => {
                    let message = format!("the answer with status {status} in a batch is no JSON object");
                    Err(self.fault(FaultKind::Protocol, operation, message).into())
                }
                Some(status) => {
                    if status == 429 {
                        self.pace().pause(wait);
                    }
                    let about = Place { system: self.system(), operation, secrets: &secrets };
                    Err(item_refusal(&about, status, wait, &body))
                }
                None => Err(self.fault(FaultKind::Protocol, operation, "an answer in a batch has no status").into()),
            };
            if items.insert(id.clone(), answer).is_some() {
                let twice = self.fault(FaultKind::Protocol, operation, "a question of a batch was answered twice");
                items.insert(id, Err(twice.into()));
            }
        }
        items
    }
}

fn named(mut refusal: Refusal, ask: &Ask) -> Refusal {
    ask.operation.clone_into(&mut refusal.fault.operation);
    refusal
}

fn header(item: &Value, name: &str) -> Option<String> {
    let headers = item.get("headers")?.as_object()?;
    let value = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1;
    value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()))
}
