//! Reading one PACS whole, and turning that into sheets: one for everybody, one for each site.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use lockstep_config::TargetConfig;
use lockstep_contract::{
    Cardholder, CardholderId, Catalog, CorrelationKey, Credential, CredentialStatus, Cursor, Cx, Fault, FaultKind,
    InactiveStatus, Next, SiteId, Status, TargetReader, field, kind_word, sha256_hex,
};
use lockstep_view::{Pass, Sheet, SheetRow};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::cli::context::Context;
use crate::connectors;

/// More pages than this are no list but a loop.
const PAGES_MAX: u32 = 50_000;

/// Everybody on one PACS.
pub(crate) struct Reading {
    /// When it was read.
    pub at: Timestamp,
    /// Where it is.
    pub endpoint: String,
    /// The access levels.
    pub catalog: Catalog,
    cardholders: Vec<Cardholder>,
    by_id: HashMap<CardholderId, usize>,
    by_key: HashMap<CorrelationKey, Vec<usize>>,
}

impl Reading {
    fn new(at: Timestamp, endpoint: String, catalog: Catalog, cardholders: Vec<Cardholder>) -> Self {
        let mut by_key: HashMap<CorrelationKey, Vec<usize>> = HashMap::new();
        for (place, cardholder) in cardholders.iter().enumerate() {
            for key in cardholder.keys.iter() {
                by_key.entry(key.clone()).or_default().push(place);
            }
        }
        let by_id = cardholders.iter().enumerate().map(|(place, one)| (one.id.clone(), place)).collect();
        Self { at, endpoint, catalog, cardholders, by_id, by_key }
    }

    /// How many cardholders.
    pub(crate) fn len(&self) -> usize {
        self.cardholders.len()
    }

    /// The record with this id.
    pub(crate) fn record(&self, id: &CardholderId) -> Option<&Cardholder> {
        self.cardholders.get(*self.by_id.get(id)?)
    }

    /// The records with one of these keys, each once.
    pub(crate) fn with_keys<'k>(&self, keys: impl IntoIterator<Item = &'k CorrelationKey>) -> Vec<&Cardholder> {
        let places: BTreeSet<usize> =
            keys.into_iter().filter_map(|key| self.by_key.get(key)).flatten().copied().collect();
        places.into_iter().filter_map(|place| self.cardholders.get(place)).collect()
    }
}

/// A sheet and the name of its files, without folder and ending.
pub(crate) struct Named {
    /// `all`, `site-NORTH`, `no-site`.
    pub stem: String,
    /// `everybody`, `site NORTH`, `no site known`.
    pub label: String,
    /// The sheet.
    pub sheet: Sheet,
}

/// Reads a PACS; says why not when it cannot be read whole.
pub(crate) async fn read(context: &Context, target: &TargetConfig) -> Result<Reading, String> {
    let opened = context.target(target).map_err(|failure| failure.what)?;
    let at = context.now();
    let (catalog, cardholders) = whole(&*opened, &context.cx()).await.map_err(|fault| fault.to_string())?;
    Ok(Reading::new(at, opened.info().endpoint.clone(), catalog, cardholders))
}

/// Everybody on a PACS; nothing when the counts do not add up.
async fn whole(target: &dyn TargetReader, cx: &Cx) -> Result<(Catalog, Vec<Cardholder>), Fault> {
    let system = target.info().id.as_str();
    let late = |_| Fault::new(FaultKind::Unreachable, system, "list cardholders", "no answer in time");
    let catalog = tokio::time::timeout(cx.budget, target.catalog(cx)).await.map_err(late)??;
    let mut all = Vec::new();
    let mut at: Option<Cursor> = None;
    for _ in 0..PAGES_MAX {
        cx.check(system, "list cardholders")?;
        let page = tokio::time::timeout(cx.budget, target.list(cx, at.take())).await.map_err(late)??;
        all.extend(page.items);
        match page.next {
            Next::More(cursor) => at = Some(cursor),
            Next::End(census) => {
                let arrived = all.len() as u64;
                if census.sent < arrived || census.server_total.is_some_and(|total| total > census.sent) {
                    break;
                }
                return Ok((catalog, all));
            }
        }
    }
    Err(Fault::new(FaultKind::Protocol, system, "list cardholders", "the list is not complete"))
}

/// The sheets of one PACS: everybody, and each site where sites are known.
pub(crate) fn sheets(target: &TargetConfig, reading: &Reading) -> Vec<Named> {
    let mut rows: Vec<(BTreeSet<SiteId>, SheetRow)> = reading
        .cardholders
        .iter()
        .map(|cardholder| {
            let sites = sites(&reading.catalog, cardholder);
            let row = row(&reading.catalog, cardholder, &sites);
            (sites, row)
        })
        .collect();
    rows.sort_by_cached_key(|(_, row)| (place_in_alphabet(&row.name), row.cardholder.clone()));
    let place = target.id.as_str().to_uppercase();
    let sheet = |place: String, only_site, rows| Sheet {
        target: target.id.to_string(),
        place,
        only_site,
        endpoint: reading.endpoint.clone(),
        read_at: reading.at,
        lock_out: connectors::by_hand(&target.kind).lock_out(),
        rows,
    };
    let known: BTreeSet<&SiteId> = rows.iter().flat_map(|(sites, _)| sites).collect();
    let of = |wanted: &dyn Fn(&BTreeSet<SiteId>) -> bool| -> Vec<SheetRow> {
        rows.iter().filter(|(sites, _)| wanted(sites)).map(|(_, row)| row.clone()).collect()
    };
    let mut all = vec![Named {
        stem: "all".into(),
        label: "everybody".into(),
        sheet: sheet(place.clone(), false, of(&|_| true)),
    }];
    for (site, stem) in stems(&known) {
        let rows = of(&|sites| sites.contains(site));
        let sheet = sheet(format!("{place}, site {site}"), true, rows);
        all.push(Named { stem, label: format!("site {site}"), sheet });
    }
    let nowhere = of(&BTreeSet::is_empty);
    if !known.is_empty() && !nowhere.is_empty() {
        let sheet = sheet(format!("{place}, no site known"), true, nowhere);
        all.push(Named { stem: "no-site".into(), label: "no site known".into(), sheet });
    }
    all
}

/// Where people look a name up: `Bâtonnier` stands beside `Batey`, whatever the case and the accents.
pub(crate) fn place_in_alphabet(name: &str) -> String {
    name.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

/// A file name for each site. The id of a site is the PACS' own text: what is no plain letter, digit or dash is
/// replaced, and where that (or the case) could make two sites one, a part of the digest tells them apart.
fn stems<'s>(sites: &BTreeSet<&'s SiteId>) -> Vec<(&'s SiteId, String)> {
    let plain = |site: &SiteId| -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
        site.as_str().chars().take(60).map(plain).collect()
    };
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for site in sites {
        *count.entry(plain(site).to_ascii_lowercase()).or_default() += 1;
    }
    let stem = |site: &SiteId| {
        let name = plain(site);
        let alone = count.get(&name.to_ascii_lowercase()) == Some(&1);
        if alone && name == site.as_str() {
            format!("site-{name}")
        } else {
            let digest = sha256_hex(site.as_str().as_bytes());
            format!("site-{name}-{}", digest.get(..8).unwrap_or_default())
        }
    };
    sites.iter().map(|site| (*site, stem(site))).collect()
}

/// Where somebody belongs, or may open a door.
fn sites(catalog: &Catalog, cardholder: &Cardholder) -> BTreeSet<SiteId> {
    let levels = cardholder.levels.iter().filter_map(|id| catalog.levels.get(id)?.site.clone());
    cardholder.site.iter().cloned().chain(levels).collect()
}

fn row(catalog: &Catalog, cardholder: &Cardholder, sites: &BTreeSet<SiteId>) -> SheetRow {
    let get = |name| cardholder.profile.get(name).unwrap_or_default().to_owned();
    let level = |id| catalog.levels.get(id).filter(|level| !level.name.is_empty());
    SheetRow {
        name: name(cardholder),
        employee_number: get(field::EMPLOYEE_NUMBER),
        department: get(field::DEPARTMENT),
        sites: sites.iter().map(ToString::to_string).collect(),
        cardholder: cardholder.id.to_string(),
        status: match &cardholder.status {
            Status::Active => "active".into(),
            Status::Suspended => "off".into(),
            Status::Other(word) => word.clone(),
        },
        active: cardholder.status != Status::Suspended,
        levels: cardholder
            .levels
            .iter()
            .map(|id| level(id).map_or(id.to_string(), |level| level.name.clone()))
            .collect(),
        passes: cardholder.credentials.iter().map(pass).collect(),
    }
}

/// The family name first, where both are known: so that people are found by it.
pub(crate) fn name(cardholder: &Cardholder) -> String {
    let get = |name| cardholder.profile.get(name).unwrap_or_default().trim();
    let (given, family, display) = (get(field::GIVEN_NAME), get(field::FAMILY_NAME), get(field::DISPLAY_NAME));
    match (given, family, display) {
        ("", "", "") => format!("(no name, record {})", cardholder.id),
        ("", "", display) => display.to_owned(),
        (given, "", _) => given.to_owned(),
        ("", family, _) => family.to_owned(),
        (given, family, _) => format!("{family}, {given}"),
    }
}

fn pass(credential: &Credential) -> Pass {
    let kind = kind_word(credential.kind);
    let number = credential.masked_number();
    let last_four = number.as_deref().and_then(|masked| masked.strip_prefix('…')).filter(|four| !four.is_empty());
    let status = match &credential.status {
        CredentialStatus::Active => "active",
        CredentialStatus::Inactive(InactiveStatus::Disabled) => "off",
        CredentialStatus::Inactive(InactiveStatus::Lost) => "lost",
        CredentialStatus::Inactive(InactiveStatus::Stolen) => "stolen",
        CredentialStatus::Inactive(InactiveStatus::Expired) => "expired",
        CredentialStatus::Inactive(InactiveStatus::Returned) => "returned",
        CredentialStatus::Other(word) => word,
    };
    Pass {
        what: format!("{kind} {}", number.clone().unwrap_or_else(|| credential.id.to_string())),
        last_four: last_four.map(str::to_owned),
        status: status.to_owned(),
        works: !matches!(credential.status, CredentialStatus::Inactive(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_where_people_look_for_it() {
        let mut names = ["Beridzeli", "Zuse", "\u{c9}mile", "B\u{e2}tonnier", "de Wit"];
        names.sort_by_key(|name| place_in_alphabet(name));
        assert_eq!(names, ["B\u{e2}tonnier", "Beridzeli", "de Wit", "\u{c9}mile", "Zuse"]);
    }

    #[test]
    fn no_site_writes_outside_of_its_folder_or_over_another_one() {
        let ids = ["NORTH", "north", "../../etc/cron.d/x", "a/b", "a:b", "site\\..\\x", "unknown", "  ", "é"];
        let sites: Vec<SiteId> = ids.iter().map(|id| SiteId::new(*id).expect("a site id")).collect();
        let stems = stems(&sites.iter().collect());
        let names: BTreeSet<String> = stems.iter().map(|(_, stem)| stem.to_ascii_lowercase()).collect();
        assert_eq!(names.len(), ids.len(), "{stems:?}");
        for (_, stem) in &stems {
            assert!(stem.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')), "{stem}");
        }
        let only = SiteId::new("EAST").expect("a site id");
        assert_eq!(super::stems(&BTreeSet::from([&only])), [(&only, "site-EAST".to_owned())]);
    }
}
