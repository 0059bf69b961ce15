//! Writes one set: the sheets of every PACS that can be read, those of the last good reading of every other one, the
//! worklist, and the page to start with.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::TargetId;
use lockstep_view::{
    FileLink, StartPage, TargetLinks, Urgency, WorkRow, WorkSheet, Worklist, sheet_csv, sheet_html, start_html,
    worklist_csv, worklist_html,
};

use super::manifest::{Listed, Manifest, SheetFile};
use super::open::{self, OpenWork};
use super::reading::{self, Reading};
use super::seal::Seal;
use super::sets::{self, Draft, START, Set};
use super::{Exported, is_too_old, register};
use crate::cli::context::Context;
use crate::cli::worklist::{self, Task};
use crate::cli::{failures, files};
use crate::exit::Failure;

/// What was written.
pub(crate) struct Written {
    /// The set.
    pub set: Set,
    /// What is in it.
    pub manifest: Manifest,
    /// What became of each target asked for.
    pub exported: Vec<Exported>,
}

/// Writes a set.
pub(crate) async fn write(context: &Context) -> Result<Written, Failure> {
    let folder = &context.config.exports;
    let seal = Seal::new(&context.config.export_recipients)?;
    let (readings, faults) = read_all(context).await;
    let work = open::gather(context, &readings).await;
    let mut draft = Draft::begin(folder, &seal, context.now())?;
    for target in context.targets() {
        if let Some(reading) = readings.get(&target.id) {
            let listed = put_sheets(&mut draft, target, reading)?;
            draft.manifest.targets.insert(target.id.to_string(), listed);
        }
    }
    keep_last_good(context, &mut draft, &faults)?;
    let list = put_worklist(context, &mut draft, &work)?;
    draft.manifest.journal_head.clone_from(&work.journal_head);
    draft.manifest.plan.clone_from(&work.plan);
    let page = start_page(context, &draft.manifest, &list, &faults);
    draft.put_open(START, start_html(&page).as_bytes())?;
    let (set, manifest) = draft.finish()?;
    lead_to(context, &set, page)?;
    let keep = SignedDuration::from_hours(24 * i64::from(context.config.export_keep_days));
    if let Err(failure) = sets::prune(folder, keep, context.now()) {
        context.terminal.say(&format!("! older exports could not be removed: {failure}"));
    }
    if let Err(failure) = register::remember(&context.config.state, &work, context.now()) {
        context.terminal.say(&format!("! the rows of the worklist were not remembered for `reconcile`: {failure}"));
    }
    let exported = context.targets().map(|target| exported(context, &target.id, &manifest, &faults)).collect();
    Ok(Written { set, manifest, exported })
}

/// Reads every target asked for, one after the other: this is no hurry, and the PACS has other work.
async fn read_all(context: &Context) -> (BTreeMap<TargetId, Reading>, BTreeMap<TargetId, String>) {
    let (mut readings, mut faults) = (BTreeMap::new(), BTreeMap::new());
    for target in context.targets() {
        match reading::read(context, target).await {
            Ok(reading) => drop(readings.insert(target.id.clone(), reading)),
            Err(fault) => drop(faults.insert(target.id.clone(), fault)),
        }
    }
    (readings, faults)
}

fn put_sheets(
    draft: &mut Draft<'_>,
    target: &lockstep_config::TargetConfig,
    reading: &Reading,
) -> Result<Listed, Failure> {
    let mut files = Vec::new();
    for named in reading::sheets(target, reading) {
        let stem = format!("{}/{}", target.id, named.stem);
        files.push(SheetFile {
            label: named.label,
            page: draft.put(&format!("{stem}.html"), sheet_html(&named.sheet).as_bytes())?,
            table: draft.put(&format!("{stem}.csv"), &sheet_csv(&named.sheet))?,
            cardholders: named.sheet.rows.len(),
        });
    }
    Ok(Listed { read_at: reading.at.to_string(), cardholders: reading.len(), files, kept_because: None })
}

/// What was not read for this set is taken over from the newest one that has it whole. A configured target that was not
/// asked for is as good as one that could not be read.
fn keep_last_good(
    context: &Context,
    draft: &mut Draft<'_>,
    faults: &BTreeMap<TargetId, String>,
) -> Result<(), Failure> {
    let older = sets::list(&context.config.exports)?;
    for target in &context.config.targets {
        let id = target.id.to_string();
        if draft.manifest.targets.contains_key(&id) {
            continue;
        }
        let why = faults.get(&target.id).map_or("it was not asked for", String::as_str);
        for set in older.iter().rev() {
            let Ok(manifest) = Manifest::read(&set.path) else { continue };
            let Some(listed) = manifest.targets.get(&id) else { continue };
            // What may be read in plain text must not slip into a set that is encrypted.
            if manifest.recipients != draft.manifest.recipients {
                continue;
            }
            let names = listed.files.iter().flat_map(|file| [&file.page, &file.table]);
            let whole: Result<Vec<_>, String> =
                names.map(|name| Ok((name, manifest.whole_file(&set.path, name)?))).collect();
            let Ok(whole) = whole else { continue };
            for (name, bytes) in whole {
                draft.keep(name, &bytes)?;
            }
            let kept = Listed { kept_because: Some(why.to_owned()), ..listed.clone() };
            draft.manifest.targets.insert(id.clone(), kept);
            break;
        }
    }
    Ok(())
}

/// The worklist as a page and as a table, and the files for the PACS' own tools.
fn put_worklist(context: &Context, draft: &mut Draft<'_>, work: &OpenWork) -> Result<Worklist, Failure> {
    let mut list = Worklist {
        made: context.now(),
        basis: "From named offboardings, from what was sent and not confirmed, and from plans that are still good."
            .to_owned(),
        notes: work.notes.clone(),
        sheets: Vec::new(),
    };
    for target in &context.config.targets {
        let catalog = work.catalogs.get(&target.id).cloned().unwrap_or_default();
        let mut seen = BTreeSet::new();
        let tasks: Vec<&Task> = work
            .tasks
            .iter()
            .filter(|task| task.action.target == target.id && seen.insert(worklist::row_id(&task.action)))
            .collect();
        let searches = work.searches.iter().filter(|search| search.target == target.id).map(search_row);
        let rows: Vec<WorkRow> =
            searches.chain(tasks.iter().map(|task| worklist::row(&target.kind, task, &catalog))).collect();
        let import = match worklist::import_file(&target.kind, &tasks, &catalog) {
            Some(file) => {
                let name = draft.put(&format!("{}/{}", target.id, file.name), &file.bytes)?;
                draft.manifest.worklist.imports.push(name.clone());
                Some(lockstep_view::Import { name, how: file.how, actions: file.actions })
            }
            None => None,
        };
        if !rows.is_empty() {
            let endpoint = endpoint(context, target);
            list.sheets.push(WorkSheet { target: target.id.to_string(), endpoint, import, rows });
        }
    }
    draft.put("worklist.html", worklist_html(&list).as_bytes())?;
    draft.put("worklist.csv", &worklist_csv(&list))?;
    draft.manifest.worklist.rows = list.len();
    draft.manifest.worklist.notes.clone_from(&list.notes);
    Ok(list)
}

/// Where a PACS is, as far as can be said without it.
fn endpoint(context: &Context, target: &lockstep_config::TargetConfig) -> String {
    context.target(target).map_or_else(|_| target.kind.clone(), |opened| opened.info().endpoint.clone())
}

fn search_row(search: &open::Search) -> WorkRow {
    WorkRow {
        id: search.id(),
        urgency: Urgency::PutOut,
        name: search.who.clone(),
        employee_number: String::new(),
        department: String::new(),
        record: String::new(),
        because: search.because.clone(),
        steps: vec![
            format!("Look for {} on this PACS, by every name and number that is known", search.who),
            "Nobody there: tick the box, and write “nobody there”".to_owned(),
            "Somebody there: lock the person out as the sheet of this PACS says, with every card".to_owned(),
            "Open the record again, and check that it shows as off".to_owned(),
        ],
    }
}

fn start_page(
    context: &Context,
    manifest: &Manifest,
    list: &Worklist,
    faults: &BTreeMap<TargetId, String>,
) -> StartPage {
    let link = |path: &str, label: String| FileLink { path: path.to_owned(), label };
    let named = |name: &str| if manifest.recipients.is_empty() { name.to_owned() } else { format!("{name}.age") };
    let targets = context.config.targets.iter().map(|target| {
        let listed = manifest.targets.get(target.id.as_str());
        let files = || listed.into_iter().flat_map(|listed| &listed.files);
        TargetLinks {
            target: target.id.to_string(),
            read_at: listed.and_then(|listed| listed.read_at.parse().ok()),
            people: listed.map_or(0, |listed| listed.cardholders),
            trouble: match faults.get(&target.id) {
                Some(_) if listed.is_some() => "NOT READ NOW. This is the last good one.".to_owned(),
                Some(_) => "NOT READ, and there is no older one.".to_owned(),
                None => String::new(),
            },
            sheets: files().map(|file| link(&file.page, file.label.clone())).collect(),
            tables: files().map(|file| link(&file.table, file.label.clone())).collect(),
        }
    });
    let mut warnings = list.notes.clone();
    if !manifest.recipients.is_empty() {
        warnings.push("The files are encrypted. With your key: age --decrypt -i KEY.txt FILE.age > FILE".to_owned());
    }
    StartPage {
        written: context.now(),
        program: manifest.program.clone(),
        warnings,
        targets: targets.collect(),
        open: format!("{}.", list.counts()),
        worklist: vec![
            link(&named("worklist.html"), "To print".to_owned()),
            link(&named("worklist.csv"), "For a spreadsheet".to_owned()),
        ],
        imports: manifest.worklist.imports.iter().map(|name| link(name, place_of(name))).collect(),
        older: Vec::new(),
    }
}

/// The target that a file is for.
fn place_of(name: &str) -> String {
    name.split('/').next().unwrap_or(name).to_uppercase()
}

/// Puts a page beside the sets that leads into the newest one.
fn lead_to(context: &Context, set: &Set, mut page: StartPage) -> Result<(), Failure> {
    let folder = &context.config.exports;
    let name = set.name();
    let into =
        |links: &mut Vec<FileLink>| links.iter_mut().for_each(|link| link.path = format!("{name}/{}", link.path));
    for target in &mut page.targets {
        into(&mut target.sheets);
        into(&mut target.tables);
    }
    into(&mut page.worklist);
    into(&mut page.imports);
    let older = sets::list(folder)?;
    let older = older.iter().rev().filter(|one| *one != set).take(30);
    page.older = older.map(|one| FileLink { path: format!("{}/{START}", one.name()), label: one.name() }).collect();
    files::replace(&folder.join(START), start_html(&page).as_bytes())
        .map_err(|failure| failures::file("write", &folder.join(START), failure.what))
}

fn exported(
    context: &Context,
    target: &TargetId,
    manifest: &Manifest,
    faults: &BTreeMap<TargetId, String>,
) -> Exported {
    let listed = manifest.targets.get(target.as_str());
    let read_at = listed.map(|listed| listed.read_at.clone());
    let age = read_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok()).map(|at| context.now().duration_since(at));
    Exported {
        target: target.to_string(),
        cardholders: listed.map_or(0, |listed| listed.cardholders),
        fault: faults.get(target).cloned(),
        too_old: age.is_some_and(|age| is_too_old(age, context.config.export_age)),
        read_at,
    }
}
