//! Searches: filters, order, pages. What makes no sense is refused; what the operator may not see is simply not there.

use std::collections::BTreeSet;

use lockstep_simulator::{Reply, Request};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::show;
use super::state::{Holder, Id, State};

/// So many items come in a page when nobody says otherwise, from version 8.70.
const TOP: usize = 1_000;

/// The query of a request, taken apart.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(request: &Request) -> Self {
        let query = request.target.split_once('?').map_or("", |(_, query)| query);
        Self(form_urlencoded::parse(query.as_bytes()).map(|(k, v)| (k.into_owned(), v.into_owned())).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Names that are in none of these lists.
    pub(super) fn unknown(&self, known: &[&str]) -> Option<&str> {
        let is_known = |key: &str| known.contains(&key) || key.starts_with("pdf_");
        self.0.iter().map(|(key, _)| key.as_str()).find(|key| !is_known(key))
    }

    /// Whether a search of cardholders is for a name or a value.
    pub(super) fn looks_for_somebody(&self) -> bool {
        self.0.iter().any(|(key, _)| key == "name" || key.starts_with("pdf_"))
    }

    pub(super) fn top(&self) -> Result<usize, Reply> {
        match self.get("top").map(str::parse::<usize>) {
            None => Ok(TOP),
            Some(Ok(top)) if top > 0 => Ok(top),
            Some(_) => Err(bad("Invalid value for top")),
        }
    }

    /// The same query at another place.
    pub(super) fn moved(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (key, old) in self.0.iter().filter(|(key, _)| key != "pos" && key != "skip") {
            query.append_pair(key, old);
        }
        query.append_pair(name, value).finish()
    }
}

pub(super) fn bad(message: &str) -> Reply {
    refusal(400, message)
}

pub(super) fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "message": message }))
}

const CARDHOLDER_PARAMETERS: [&str; 11] =
    ["top", "sort", "name", "division", "directDivision", "description", "accessZone", "fields", "pos", "skip", "v"];

/// How a search of cardholders may go wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Filters are ignored.
    pub(super) unfiltered: bool,
    /// Every page is the first one.
    pub(super) repeated: bool,
}

/// A page of cardholders.
pub(super) fn cardholders(state: &State, root: &str, request: &Request, trouble: Trouble) -> Reply {
    match page(state, root, request, trouble) {
        Ok(reply) | Err(reply) => reply,
    }
}

fn page(state: &State, root: &str, request: &Request, trouble: Trouble) -> Result<Reply, Reply> {
    let query = Query::of(request);
    if let Some(name) = query.unknown(&CARDHOLDER_PARAMETERS) {
        return Err(bad(&format!("Unknown parameter {name}")));
    }
    let (top, wanted) = (query.top()?, show::search_fields(query.get("fields")));
    let backwards = match query.get("sort") {
        None | Some("id") => false,
        Some("-id") => true,
        // By name, pages shift while others edit: places are counted from the beginning.
        Some("name" | "-name") => return by_name(state, root, &query, top, &wanted),
        Some(_) => return Err(bad("Invalid value for sort")),
    };
    let filters = if trouble.unfiltered { Filters::default() } else { Filters::of(state, &query)? };
    let at = query.get("pos").filter(|_| !trouble.repeated).map(str::parse::<Id>);
    let at = at.transpose().map_err(|_| bad("Invalid value for pos"))?;
    let mut ids = filters.candidates(state, at, backwards);
    let mut items = Vec::new();
    let mut last = 0;
    let mut more = false;
    for id in &mut ids {
        let Some(holder) = state.holders.get(&id).filter(|holder| filters.accept(state, holder)) else { continue };
        if items.len() == top {
            more = true;
            break;
        }
        items.push(show::holder(state, root, id, holder, &wanted));
        last = id;
    }
    let mut body = json!({ "results": items });
    if more {
        body["next"] = json!({ "href": format!("{root}/api/cardholders?{}", query.moved("pos", &last.to_string())) });
    }
    Ok(Reply::json(200, &body))
}

fn by_name(state: &State, root: &str, query: &Query, top: usize, wanted: &show::Wanted) -> Result<Reply, Reply> {
    let skip = query.get("skip").map_or(Ok(0), str::parse::<usize>).map_err(|_| bad("Invalid value for skip"))?;
    let filters = Filters::of(state, query)?;
    let mut all: Vec<(&Id, &Holder)> = state.holders.iter().filter(|(_, one)| filters.accept(state, one)).collect();
    all.sort_by_key(|(_, one)| (one.last_name.clone(), one.first_name.clone()));
    if query.get("sort") == Some("-name") {
        all.reverse();
    }
    let items: Vec<Value> =
        all.iter().skip(skip).take(top).map(|(id, one)| show::holder(state, root, **id, one, wanted)).collect();
    let end = skip + items.len();
    let mut body = json!({ "results": items });
    if end < all.len() {
        body["next"] = json!({ "href": format!("{root}/api/cardholders?{}", query.moved("skip", &end.to_string())) });
    }
    Ok(Reply::json(200, &body))
}

/// What a search asks for.
#[derive(Debug, Default)]
struct Filters {
    divisions: Option<BTreeSet<Id>>,
    direct: Option<BTreeSet<Id>>,
    name: Option<Pattern>,
    description: Option<Pattern>,
    data: Vec<(Id, Pattern)>,
}

/// A pattern of a search, in lower case.
#[derive(Debug)]
enum Pattern {
    /// In quotation marks: the whole value.
    Whole(String),
    /// With `%` or `_`: anchored at both ends.
    Wild(Vec<char>),
    /// Anywhere in the value.
    Part(String),
    /// A blank finds nothing.
    Nothing,
}

impl Pattern {
    fn of(text: &str) -> Self {
        let lower = text.to_lowercase();
        let quoted = lower.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match quoted {
            Some("") => Self::Nothing,
            Some(whole) => Self::Whole(whole.to_owned()),
            None if lower.is_empty() => Self::Nothing,
            None if lower.contains(['%', '_']) => Self::Wild(lower.chars().collect()),
            None => Self::Part(lower),
        }
    }

    fn fits(&self, value: &str) -> bool {
        let lower = value.to_lowercase();
        match self {
            Self::Whole(whole) => lower == *whole,
            Self::Wild(pattern) => wild(pattern, &lower.chars().collect::<Vec<_>>()),
            Self::Part(part) => lower.contains(part.as_str()),
            Self::Nothing => false,
        }
    }
}

fn wild(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('%', rest)), _) => (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| wild(rest, text))),
        (Some(('_', rest)), Some((_, text))) => wild(rest, text),
        (Some((one, rest)), Some((other, text))) => one == other && wild(rest, text),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

impl Filters {
    fn of(state: &State, query: &Query) -> Result<Self, Reply> {
        let ids = |name: &str| -> Result<Option<BTreeSet<Id>>, Reply> {
            let Some(text) = query.get(name) else { return Ok(None) };
            let ids = text.split(',').map(str::parse).collect::<Result<BTreeSet<Id>, _>>();
            ids.map(Some).map_err(|_| bad(&format!("Invalid value for {name}")))
        };
        let mut data = Vec::new();
        for (key, value) in &query.0 {
            let Some(id) = key.strip_prefix("pdf_") else { continue };
            let id = id.parse().ok().filter(|id| state.fields.contains_key(id));
            data.push((id.ok_or_else(|| bad(&format!("Invalid parameter {key}")))?, Pattern::of(value)));
        }
        Ok(Self {
            divisions: ids("division")?,
            direct: ids("directDivision")?,
            name: query.get("name").map(Pattern::of),
            description: query.get("description").map(Pattern::of),
            data,
        })
    }

    /// Who may fit, in order: by the indexes where the search is for whole values.
    fn candidates(&self, state: &State, after: Option<Id>, backwards: bool) -> Box<dyn Iterator<Item = Id>> {
        let by_value = self.data.iter().find_map(|(field, pattern)| match pattern {
            Pattern::Whole(whole) => Some(state.with_value(*field, whole)),
            Pattern::Wild(_) | Pattern::Part(_) | Pattern::Nothing => None,
        });
        let by_name = || match &self.name {
            Some(Pattern::Whole(whole)) => Some(state.with_name(whole)),
            Some(Pattern::Wild(_) | Pattern::Part(_) | Pattern::Nothing) | None => None,
        };
        let all: Vec<Id> = match by_value.or_else(by_name) {
            Some(found) => found.into_iter().collect(),
            None if backwards => state.holders.keys().copied().collect(),
            None => {
                let from = after.map_or(0, |after| after + 1);
                return Box::new(state.holders.range(from..).map(|(id, _)| *id).collect::<Vec<_>>().into_iter());
            }
        };
        if backwards {
            Box::new(all.into_iter().rev().filter(move |id| after.is_none_or(|after| *id < after)))
        } else {
            Box::new(all.into_iter().filter(move |id| after.is_none_or(|after| *id > after)))
        }
    }

    fn accept(&self, state: &State, holder: &Holder) -> bool {
        let name = |pattern: &Pattern| {
            let both = format!("{}, {}", holder.last_name, holder.first_name);
            [holder.first_name.as_str(), &holder.last_name, &both].iter().any(|name| pattern.fits(name))
        };
        let value = |(field, pattern): &(Id, Pattern)| {
            let shows = state.fields.get(field).is_some_and(|of| of.access != "noAccess");
            let there = holder.data.get(field).filter(|_| shows && state.may_hold(holder, *field));
            there.is_some_and(|value| pattern.fits(value))
        };
        state.visible(holder)
            && self.divisions.as_ref().is_none_or(|those| state.is_within(holder.division, those))
            && self.direct.as_ref().is_none_or(|those| those.contains(&holder.division))
            && self.name.as_ref().is_none_or(name)
            && self.description.as_ref().is_none_or(|pattern| pattern.fits(&holder.description))
            && self.data.iter().all(value)
    }
}

/// A page of items of configuration.
pub(super) fn items(
    root: &str,
    request: &Request,
    path: &str,
    all: &[(Id, String)],
    shown: &dyn Fn(Id, &show::Wanted) -> Value,
    defaults: &[&str],
) -> Reply {
    let query = Query::of(request);
    let known = ["top", "sort", "name", "division", "directDivision", "description", "fields", "pos", "skip", "v"];
    if let Some(name) = query.unknown(&known) {
        return bad(&format!("Unknown parameter {name}"));
    }
    let top = match query.top() {
        Ok(top) => top,
        Err(refused) => return refused,
    };
    let name = query.get("name").map(Pattern::of);
    let fits = |(_, named): &&(Id, String)| name.as_ref().is_none_or(|pattern| pattern.fits(named));
    let after = query.get("pos").and_then(|pos| pos.parse::<Id>().ok());
    let rest: Vec<Id> =
        all.iter().filter(fits).map(|(id, _)| *id).filter(|id| after.is_none_or(|after| *id > after)).collect();
    let wanted = show::Wanted::of(query.get("fields"), defaults);
    let results: Vec<Value> = rest.iter().take(top).map(|id| shown(*id, &wanted)).collect();
    let mut body = json!({ "results": results });
    if let Some(last) = rest.get(top.saturating_sub(1)).filter(|_| rest.len() > top) {
        body["next"] = json!({ "href": format!("{root}{path}?{}", query.moved("pos", &last.to_string())) });
    }
    Reply::json(200, &body)
}
